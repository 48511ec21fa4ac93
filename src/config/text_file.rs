//! Reads a file that the configuration names as text.

use std::path::Path;

/// Reads a file that a key of the configuration names.
///
/// # Errors
/// Fails with a message that names the file and the key.
pub(crate) fn read(path: &Path, key: &str) -> Result<String, Vec<String>> {
    let read = std::fs::read(path).map_err(|error| error.to_string());
    read.and_then(as_text)
        .map_err(|error| vec![format!("{key}: cannot read {}: {error}", path.display())])
}

/// Decodes a text file: UTF-8, with or without the byte order mark that some editors write, or the
/// UTF-16 that PowerShell redirects to a file.
fn as_text(bytes: Vec<u8>) -> Result<String, String> {
    match &*bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            return Err(
                "the file is UTF-16, not UTF-8; convert it, for example with `iconv -f UTF-16 -t UTF-8`"
                    .to_string(),
            );
        }
        _ => {}
    }
    let mut text =
        String::from_utf8(bytes).map_err(|error| format!("the file is not UTF-8: {error}"))?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}
