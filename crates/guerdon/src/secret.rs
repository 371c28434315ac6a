//! Secrets that the operator of the server gives: from the environment or a file that it names, never from the command
//! line, where other users of the machine can read them.

use anyhow::{Context, Result, bail};
use zeroize::Zeroizing;

/// Longest secret, in bytes.
const SECRET_BYTES: usize = 8_192;

/// The secret of a variable: its value, or the content of the file that `<name>_FILE` names, without the white space
/// around it.
pub fn secret(name: &str) -> Result<Option<Zeroizing<String>>> {
    let file = format!("{name}_FILE");
    let text = match (std::env::var(name), std::env::var(&file)) {
        (Ok(_), Ok(_)) => bail!("give either {name} or {file}"),
        (Ok(text), _) => Zeroizing::new(text),
        (_, Ok(path)) => Zeroizing::new(std::fs::read_to_string(&path).with_context(|| format!("{file}, {path}"))?),
        _ => return Ok(None),
    };
    let text = Zeroizing::new(text.trim().to_owned());
    if text.is_empty() || text.len() > SECRET_BYTES {
        bail!("{name} or the file of {file} must hold 1 to {SECRET_BYTES} bytes");
    }
    Ok(Some(text))
}
