//! The seam between the loop and the core: how a record is judged.

use audit_judge::fate::Fate;

/// Decides the fate of a record, by tables that may still be catching up.
pub trait Judge {
    /// Returns the fate of a record with this value, by the tables as they are now.
    fn judge(&self, payload: Option<&[u8]>) -> Fate;

    /// Returns whether a fate stands whatever the tables may still learn.
    fn is_final(&self, fate: &Fate) -> bool;

    /// Checks that the tables may be relied on.
    ///
    /// # Errors
    /// Names the tables that may not, and since when.
    fn trusted(&self) -> Result<(), String>;

    /// Waits until the tables hold everything that was written to their sources before this call:
    /// the read barrier.
    ///
    /// # Errors
    /// Names what timed out.
    fn catch_up(&self) -> Result<(), String>;
}

/// A pure function of the record, whose fates are all final.
impl<F: Fn(Option<&[u8]>) -> Fate> Judge for F {
    fn judge(&self, payload: Option<&[u8]>) -> Fate {
        self(payload)
    }

    fn is_final(&self, _: &Fate) -> bool {
        true
    }

    fn trusted(&self) -> Result<(), String> {
        Ok(())
    }

    fn catch_up(&self) -> Result<(), String> {
        Ok(())
    }
}
