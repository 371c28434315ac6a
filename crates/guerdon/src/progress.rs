//! Progress bars and numbers for people.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` items; hidden when nobody watches.
pub fn bar(what: &str, total: u64) -> ProgressBar {
    let style = "{msg:24} {bar:40} {human_pos:>9}/{human_len} {elapsed}";
    let bar = ProgressBar::new(total);
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what.to_owned());
    bar
}

/// Shows how far it is, and goes on.
pub fn show(bar: &ProgressBar, done: u64) -> bool {
    bar.set_position(done);
    true
}

/// A number with thousands separators.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Money in minor units, `£1,234.50` for what we know the sign of, else with its code.
pub fn money(code: &str, digits: u32, minor: i64) -> String {
    let divisor = 10_i64.pow(digits);
    let sign = match code {
        "GBP" => "£",
        "EUR" => "€",
        "USD" => "$",
        "CNY" | "JPY" => "¥",
        _ => "",
    };
    let major = grouped(minor / divisor);
    let fraction = match digits {
        0 => String::new(),
        digits => format!(".{:0width$}", (minor % divisor).abs(), width = digits as usize),
    };
    if sign.is_empty() { format!("{code} {major}{fraction}") } else { format!("{sign}{major}{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(-1_234_567), "-1,234,567");
        assert_eq!(grouped(100), "100");
        assert_eq!(money("GBP", 2, 123_405), "£1,234.05");
        assert_eq!(money("JPY", 0, 5_000), "¥5,000");
    }
}
