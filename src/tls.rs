//! TLS to brokers and databases: which certificates a server's is checked against, and
//! which one this program shows.
//!
//! One kind of TLS for all: rustls, with the cryptography of ring, whatever else the
//! program has. The certificate of a server and the host name in it are always checked.
//! Where an address asks for TLS and nothing else is said, the authorities that the
//! system trusts count, or those in the file that `SSL_CERT_FILE` names.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::reason::reason;

/// How a server is known, and who this program is to it.
///
/// ```
/// use integration_automation_patterns::tls::Tls;
///
/// let refused = Tls::with_authorities(b"no certificate").unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "the authorities of TLS: expected certificates as PEM, found none"
/// );
/// ```
#[derive(Clone)]
pub struct Tls {
    authorities: Arc<RootCertStore>,
    client: Option<Arc<Identity>>,
    #[cfg(all(feature = "kafka", feature = "tls"))]
    pem: Pem,
}

/// The same as text, for a client that brings its own TLS.
#[cfg(all(feature = "kafka", feature = "tls"))]
#[derive(Clone, Default)]
pub(crate) struct Pem {
    /// Those that the system trusts, where there is nothing.
    pub(crate) authorities: Option<Arc<str>>,
    pub(crate) certificate: Option<Arc<str>>,
    pub(crate) key: Option<Arc<str>>,
}

#[cfg(all(feature = "kafka", feature = "tls"))]
fn text(pem: &[u8]) -> Option<Arc<str>> {
    Some(String::from_utf8_lossy(pem).into())
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Tls {
    /// The authorities that the system trusts, or those in the file that `SSL_CERT_FILE`
    /// names.
    ///
    /// # Errors
    ///
    /// [`TlsError`], where there are none that can be read.
    pub fn system() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(found.certs);
        if authorities.is_empty() {
            let why: Vec<String> =
                found.errors.iter().map(|error| reason(error)).collect();
            let why =
                if why.is_empty() { "found none".to_owned() } else { why.join("; ") };
            return Err(TlsError::new(
                AUTHORITIES,
                format!("expected those of the system: {why}"),
            ));
        }
        Ok(Self {
            authorities: Arc::new(authorities),
            client: None,
            #[cfg(all(feature = "kafka", feature = "tls"))]
            pem: Pem::default(),
        })
    }

    /// These authorities and no others, as the PEM text of their certificates: for
    /// servers of a company's own.
    ///
    /// # Errors
    ///
    /// [`TlsError`], where there is none in the text, or one that is no certificate of an
    /// authority.
    pub fn with_authorities(pem: &[u8]) -> Result<Self, TlsError> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(AUTHORITIES, pem)? {
            authorities
                .add(certificate)
                .map_err(|error| TlsError::new(AUTHORITIES, reason(&error)))?;
        }
        Ok(Self {
            authorities: Arc::new(authorities),
            client: None,
            #[cfg(all(feature = "kafka", feature = "tls"))]
            pem: Pem { authorities: text(pem), ..Pem::default() },
        })
    }

    /// Shows servers that ask for it a certificate of this program's own: the chain and
    /// the key as PEM text.
    ///
    /// # Errors
    ///
    /// [`TlsError`], where either is none, or the key does not belong to the certificate.
    pub fn client_certificate(self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        const CLIENT: &str = "the client's certificate of TLS";
        #[cfg(all(feature = "kafka", feature = "tls"))]
        let pem = Pem { certificate: text(chain), key: text(key), ..self.pem.clone() };
        let chain = certificates(CLIENT, chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            TlsError::new(
                CLIENT,
                format!("expected a private key as PEM: {}", reason(&error)),
            )
        })?;
        let tls = Self {
            client: Some(Arc::new(Identity { chain, key })),
            #[cfg(all(feature = "kafka", feature = "tls"))]
            pem,
            ..self
        };
        tls.config().map(|_| tls.clone())
    }

    #[cfg(all(feature = "kafka", feature = "tls"))]
    pub(crate) const fn pem(&self) -> &Pem {
        &self.pem
    }

    /// As rustls takes it.
    pub(crate) fn config(&self) -> Result<ClientConfig, TlsError> {
        const DOING: &str = "TLS";
        // Named, and not taken from the process: another crate may have brought a
        // provider of its own.
        let builder =
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| TlsError::new(DOING, reason(&error)))?
                .with_root_certificates(Arc::clone(&self.authorities));
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some(client) => builder
                .with_client_auth_cert(client.chain.clone(), client.key.clone_key())
                .map_err(|error| TlsError::new(DOING, reason(&error))),
        }
    }
}

const AUTHORITIES: &str = "the authorities of TLS";

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            TlsError::new(
                what,
                format!("expected certificates as PEM: {}", reason(&error)),
            )
        })?;
    if found.is_empty() {
        return Err(TlsError::new(what, "expected certificates as PEM, found none"));
    }
    Ok(found)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities.len())
            .finish_non_exhaustive()
    }
}

/// Certificates that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError {
    what: &'static str,
    why: String,
}

impl TlsError {
    fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for TlsError {}
