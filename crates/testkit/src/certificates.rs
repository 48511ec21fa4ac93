//! A certificate authority for tests. It lives as long as the test; its certificates are valid for
//! a day.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef};

/// A key and certificate that sign others.
pub struct Authority {
    key: PKey<Private>,
    certificate: X509,
}

/// A key and its certificate in PEM, as Kafka's key stores accept them.
pub struct Identity {
    pub key: String,
    pub certificate: String,
}

impl Authority {
    pub fn new() -> Result<Self, ErrorStack> {
        let key = new_key()?;
        let name = name("authority for a test")?;
        let mut certificate = unsigned(&name, &key)?;
        certificate.set_issuer_name(&name)?;
        certificate.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        certificate.sign(&key, MessageDigest::sha256())?;
        Ok(Authority { key, certificate: certificate.build() })
    }

    /// Returns the certificate with which a client trusts this authority.
    pub fn certificate(&self) -> Result<String, ErrorStack> {
        Ok(text(self.certificate.to_pem()?))
    }

    /// Issues a key and certificate for a common name, also valid for localhost.
    pub fn issue(&self, common_name: &str) -> Result<Identity, ErrorStack> {
        let key = new_key()?;
        let subject = name(common_name)?;
        let mut certificate = unsigned(&subject, &key)?;
        certificate.set_issuer_name(self.certificate.subject_name())?;
        let mut names = SubjectAlternativeName::new();
        names.dns("localhost").ip("127.0.0.1");
        let names = names.build(&certificate.x509v3_context(Some(&self.certificate), None))?;
        certificate.append_extension(names)?;
        certificate.sign(&self.key, MessageDigest::sha256())?;
        Ok(Identity {
            key: text(key.private_key_to_pem_pkcs8()?),
            certificate: text(certificate.build().to_pem()?),
        })
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&curve)?)
}

fn name(common_name: &str) -> Result<X509Name, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_text("CN", common_name)?;
    Ok(name.build())
}

fn unsigned(subject: &X509NameRef, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    const VERSION_3: i32 = 2;
    let mut serial = BigNum::new()?;
    serial.rand(120, MsbOption::MAYBE_ZERO, false)?;
    let mut certificate = X509::builder()?;
    certificate.set_version(VERSION_3)?;
    certificate.set_serial_number(&*serial.to_asn1_integer()?)?;
    certificate.set_subject_name(subject)?;
    certificate.set_pubkey(key)?;
    certificate.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    certificate.set_not_after(&*Asn1Time::days_from_now(1)?)?;
    Ok(certificate)
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).expect("PEM is text")
}
