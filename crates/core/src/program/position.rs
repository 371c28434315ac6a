//! Where in a text something is wrong.

/// What is wrong with a JSON text, with its line and column.
pub(super) fn json_problem(error: &serde_json::Error) -> String {
    // serde_json writes the place behind the message.
    let text = error.to_string();
    let message = text.rfind(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
    match error.line() {
        0 => message.to_owned(),
        line => format!("line {line}, column {}: {message}", error.column()),
    }
}

/// What is wrong with a TOML text, with its line and column.
pub(super) fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        None => error.message().to_owned(),
        Some(span) => {
            let (line, column) = place(text, span.start);
            format!("line {line}, column {column}: {}", error.message())
        }
    }
}

/// The line and column, counted from 1, of a byte.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
