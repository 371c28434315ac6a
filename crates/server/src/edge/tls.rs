//! TLS 1.2 and 1.3 with certificates that are taken anew from their files while the server runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A certificate chain or key is smaller than this.
const FILE_BYTES: u64 = 1 << 20;

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: {error}", file = .file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{file} holds no {wanted} in PEM form ({error})", file = .file.display())]
    Pem {
        /// Which file.
        file: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What the parser says.
        error: pem::Error,
    },
    /// The two do not belong together, or the key is of an unknown kind.
    #[error("the key {key} does not fit the certificate {certificate}: {error}", key = .key.display(),
        certificate = .certificate.display())]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library says.
        error: rustls::Error,
    },
    /// The library refuses its own settings.
    #[error("TLS: {0}")]
    Library(#[from] rustls::Error),
}

/// A certificate with its key, as new connections get it.
pub struct Tls {
    files: Files,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Tls").field(&self.files.certificate).finish()
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The files as they were read.
struct Loaded {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    digest: [u8; 32],
}

/// The certificate in use, and the digest of the files it came from.
#[derive(Debug)]
struct Current(RwLock<(Arc<CertifiedKey>, [u8; 32])>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

impl Files {
    fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
        let failed = |error| TlsError::File { file: file.to_owned(), error };
        let length = std::fs::metadata(file).map_err(failed)?.len();
        if length > FILE_BYTES {
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "larger than a certificate or key can be")));
        }
        std::fs::read(file).map_err(failed)
    }

    fn load(&self) -> Result<Loaded, TlsError> {
        let (chain, key) = (Self::read(&self.certificate)?, Zeroizing::new(Self::read(&self.key)?));
        let digest = Sha256::new().chain_update(Sha256::digest(&chain)).chain_update(Sha256::digest(&key));
        Ok(Loaded { chain, key, digest: digest.finalize().into() })
    }

    fn certified(&self, loaded: &Loaded) -> Result<CertifiedKey, TlsError> {
        let unreadable = |file: &Path, wanted, error| TlsError::Pem { file: file.to_owned(), wanted, error };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&loaded.chain).collect();
        let chain = chain
            .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
            .map_err(|error| unreadable(&self.certificate, "certificate", error))?;
        let key =
            PrivateKeyDer::from_pem_slice(&loaded.key).map_err(|error| unreadable(&self.key, "private key", error))?;
        CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| TlsError::Unfit {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            error,
        })
    }
}

impl Tls {
    /// Reads certificate chain and key from PEM files.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let loaded = files.load()?;
        let certified = files.certified(&loaded)?;
        let current = Arc::new(Current(RwLock::new((Arc::new(certified), loaded.digest))));
        let provider: Arc<CryptoProvider> = Arc::new(default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A returning caller is spared the certificate and its signature.
        config.ticketer = Ticketer::new()?;
        Ok(Self { files, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Takes the files as they are now; `true` when they are others than before. What is in use stays when they are
    /// unfit.
    fn look(&self, rejected: &mut Option<[u8; 32]>) -> Result<bool, TlsError> {
        let loaded = self.files.load()?;
        let digest = loaded.digest;
        let known = self.current.0.read().unwrap_or_else(PoisonError::into_inner).1;
        if digest == known || *rejected == Some(digest) {
            return Ok(false);
        }
        // Said once for these contents, not every two seconds.
        *rejected = Some(digest);
        let certified = Arc::new(self.files.certified(&loaded)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = (certified, digest);
        *rejected = None;
        Ok(true)
    }
}

/// Looks at the files until `stop` says true. New connections get the new certificate.
pub async fn reload(tls: Arc<Tls>, mut stop: watch::Receiver<bool>) {
    let mut rejected = None;
    let mut missing = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let looked = {
            let tls = Arc::clone(&tls);
            let mut known = rejected;
            tokio::task::spawn_blocking(move || (tls.look(&mut known), known)).await
        };
        let Ok((looked, known)) = looked else { return };
        rejected = known;
        match looked {
            Ok(changed) => {
                missing = false;
                if changed {
                    metrics::counter!("guerdon_tls_certificates_reloaded_total").increment(1);
                    tracing::info!("the certificate was taken anew from its files");
                }
            }
            Err(error) => {
                // A file that is not there is not there at the next look either.
                let repeated = missing && matches!(error, TlsError::File { .. });
                missing = matches!(error, TlsError::File { .. });
                if !repeated {
                    tracing::error!(%error, "the new certificate is not used; the one before stays");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    #[test]
    fn files_that_are_unfit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = write(folder.path(), "localhost");
        assert!(Tls::open(&certificate, &key).is_ok());
        let said = |certificate: &Path, key: &Path| Tls::open(certificate, key).unwrap_err().to_string();
        assert!(said(&folder.path().join("nothing.pem"), &key).contains("nothing.pem"));
        assert!(said(&key, &key).contains("no certificate"));
        assert!(said(&certificate, &certificate).contains("no private key"));
        let other = tempfile::tempdir().unwrap();
        let (_, other_key) = write(other.path(), "localhost");
        assert!(said(&certificate, &other_key).contains("does not fit"));
        let large = folder.path().join("large.pem");
        std::fs::File::create(&large).unwrap().set_len(FILE_BYTES + 1).unwrap();
        assert!(said(&large, &key).contains("larger than"));
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = write(folder.path(), "one.example");
        let tls = Tls::open(&certificate, &key).unwrap();
        let in_use = || tls.current.0.read().unwrap().0.cert.clone();
        let mut rejected = None;
        let first = in_use();
        assert!(!tls.look(&mut rejected).unwrap());
        std::fs::write(&certificate, "broken").unwrap();
        assert!(tls.look(&mut rejected).is_err());
        assert!(!tls.look(&mut rejected).unwrap(), "said once");
        assert_eq!(in_use(), first);
        write(folder.path(), "two.example");
        assert!(tls.look(&mut rejected).unwrap());
        assert_ne!(in_use(), first);
    }
}
