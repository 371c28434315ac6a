//! Numbers and money as people write them: whole-number arithmetic only.

/// A typographic minus sign; a hyphen is too short beside figures.
const MINUS: char = '−';
/// A thin space that does not break.
const THIN_SPACE: char = '\u{202f}';

/// A number with its thousands apart: `1,234,567`.
pub fn number(value: i64) -> String {
    decimal(value, 0)
}

/// A number of smallest units, of which `digits` stand after the decimal point: `decimal(123456, 2)` is `1,234.56`.
pub fn decimal(value: i64, digits: u32) -> String {
    let unit = 10_u64.saturating_pow(digits);
    let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    let mut text = String::new();
    if value < 0 {
        text.push(MINUS);
    }
    let plain = whole.to_string();
    for (position, digit) in plain.chars().enumerate() {
        if position > 0 && (plain.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if digits > 0 {
        text.push_str(&format!(".{fraction:0width$}", width = digits as usize));
    }
    text
}

/// A number as people type it, in smallest units: `parse("1,234.5", 2)` is `123450`. `None`: it is none, or is finer than
/// the smallest unit.
pub fn parse(text: &str, digits: u32) -> Option<i64> {
    let plain: String = text.trim().chars().filter(|c| !matches!(c, ',' | '，' | ' ')).collect();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let width = usize::try_from(digits).ok()?;
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || fraction.len() > width || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<width$}").parse().ok()
}

/// A change with its sign: `+132`, `−500`, `0`.
pub fn signed(value: i64, digits: u32) -> String {
    let text = decimal(value, digits);
    if value > 0 { format!("+{text}") } else { text }
}

/// Money of an ISO 4217 code from its minor units: `£132.40`, `−€1.00`, `CHF 5.00`.
pub fn money(code: &str, digits: u32, minor: i64) -> String {
    let amount = decimal(minor.saturating_abs(), digits);
    let sign = if minor < 0 { MINUS.to_string() } else { String::new() };
    match code {
        "GBP" => format!("{sign}£{amount}"),
        "EUR" => format!("{sign}€{amount}"),
        "USD" => format!("{sign}${amount}"),
        "CNY" => format!("{sign}¥{amount}"),
        _ => format!("{sign}{code}\u{a0}{amount}"),
    }
}

/// A part of a whole in per cent with one decimal, rounded half up: `12.5 %`. `None` when there is no whole.
pub fn share(part: i64, whole: i64) -> Option<String> {
    let (part, whole) = (i128::from(part), i128::from(whole));
    if whole <= 0 {
        return None;
    }
    let tenths = (part * 2_000 + whole).div_euclid(whole * 2);
    let tenths = i64::try_from(tenths).ok()?;
    Some(format!("{}{THIN_SPACE}%", decimal(tenths, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        assert_eq!(parse(" 1,234 ", 0), Some(1_234));
        assert_eq!(parse("1,234.5", 2), Some(123_450));
        assert_eq!(parse("0.05", 2), Some(5));
        for wrong in ["", ".", ".5", "-5", "1.5", "1e3", "٣", "99999999999999999999"] {
            assert_eq!(parse(wrong, 0), None, "{wrong}");
        }
    }

    #[test]
    fn thousands_stand_apart() {
        for (value, text) in [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1_000, "1,000"),
            (-12_345, "−12,345"),
            (1_234_567, "1,234,567"),
            (i64::MIN, "−9,223,372,036,854,775,808"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(-123_456, 2), "−1,234.56");
        assert_eq!((signed(132, 0), signed(-5, 0), signed(0, 0)), ("+132".into(), "−5".into(), "0".into()));
    }

    #[test]
    fn money_bears_its_sign_or_its_code() {
        assert_eq!(money("GBP", 2, 13_240), "£132.40");
        assert_eq!(money("EUR", 2, -100), "−€1.00");
        assert_eq!(money("USD", 2, 123_456_789), "$1,234,567.89");
        assert_eq!(money("CNY", 2, 1), "¥0.01");
        assert_eq!(money("JPY", 0, 5_000), "JPY\u{a0}5,000");
    }

    #[test]
    fn shares_round_half_up() {
        assert_eq!(share(1, 8).unwrap(), "12.5\u{202f}%");
        assert_eq!(share(2, 3).unwrap(), "66.7\u{202f}%");
        assert_eq!(share(5, 5).unwrap(), "100.0\u{202f}%");
        assert_eq!(share(1, 0), None);
    }
}
