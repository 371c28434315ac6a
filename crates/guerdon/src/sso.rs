//! The file of identity providers.

use std::path::Path;

use anyhow::{Context, Result};
use guerdon_server::identity::sso::{ProviderSettings, SingleSignOn, SsoSettings};
use zeroize::Zeroizing;

/// Longest secret of a client, in bytes.
const SECRET_BYTES: usize = 8_192;

/// The providers of a file; none without one.
pub fn single_sign_on(file: Option<&Path>) -> Result<SingleSignOn> {
    let Some(file) = file else { return Ok(SingleSignOn::default()) };
    let read = || {
        let text = std::fs::read_to_string(file)?;
        let settings: SsoSettings = toml::from_str(&text)?;
        SingleSignOn::new(settings, secret).map_err(anyhow::Error::msg)
    };
    read().with_context(|| format!("the identity providers of {}", file.display()))
}

/// The secret of a provider's client. Without one the client is public, and PKCE alone protects the code.
fn secret(provider: &ProviderSettings) -> Result<Option<Zeroizing<String>>, String> {
    let (place, text) = match (&provider.client_secret_env, &provider.client_secret_file) {
        (Some(name), _) => {
            let text = std::env::var(name);
            (format!("the variable {name}"), text.map_err(|_| format!("the variable {name} is not set"))?)
        }
        (_, Some(file)) => {
            let text = std::fs::read_to_string(file);
            (file.display().to_string(), text.map_err(|error| format!("{}: {error}", file.display()))?)
        }
        (None, None) => return Ok(None),
    };
    let text = Zeroizing::new(text);
    let trimmed = Zeroizing::new(text.trim().to_owned());
    if trimmed.is_empty() || trimmed.len() > SECRET_BYTES {
        return Err(format!("{place} must hold 1 to {SECRET_BYTES} bytes"));
    }
    Ok(Some(trimmed))
}
