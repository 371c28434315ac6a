//! QR codes and bar codes as SVG, to be put into a page: only presentation attributes, no style, so that the content
//! policy needs no exception; black on white whatever the theme, because scanners want it so.

use std::fmt::Write;

use barcoders::sym::code128::Code128;
use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around a QR code, as its standard asks.
const QR_QUIET: usize = 4;
/// Modules of white beside a bar code, as its standard asks, and how tall it is.
const BAR_QUIET: usize = 10;
const BAR_HEIGHT: usize = 50;
/// Longest text of a QR code, in bytes: beyond it phones have trouble to read it from a screen.
const TEXT_BYTES: usize = 600;

/// A QR code of a text; `label` says to a screen reader what it is. Nothing when the text is too long.
pub fn svg_qr(text: &str, label: &str) -> Option<String> {
    if text.len() > TEXT_BYTES {
        return None;
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let rows = colors.chunks(width).map(|row| row.iter().map(|color| *color == Color::Dark));
    let mut path = String::new();
    for (y, row) in rows.enumerate() {
        runs(&mut path, row, QR_QUIET, y + QR_QUIET, 1);
    }
    Some(picture(width + 2 * QR_QUIET, width + 2 * QR_QUIET, label, &path))
}

/// A Code 128 bar code of digits, in the dense form that holds two of them in a symbol. Nothing when the text is no even
/// number of digits.
pub fn svg_bar_code(digits: &str, label: &str) -> Option<String> {
    if digits.is_empty()
        || digits.len() > 40
        || !digits.len().is_multiple_of(2)
        || !digits.bytes().all(|c| c.is_ascii_digit())
    {
        return None;
    }
    // `Ć` is how the crate spells "character set C".
    let modules = Code128::new(format!("\u{0106}{digits}")).ok()?.encode();
    let mut path = String::new();
    runs(&mut path, modules.iter().map(|module| *module == 1), BAR_QUIET, 0, BAR_HEIGHT);
    Some(picture(modules.len() + 2 * BAR_QUIET, BAR_HEIGHT, label, &path))
}

/// Adds a rectangle for each run of dark modules of a row.
fn runs(path: &mut String, row: impl Iterator<Item = bool>, left: usize, top: usize, height: usize) {
    let mut start = None;
    // The light module behind the last one ends its run.
    for (x, dark) in row.chain([false]).enumerate() {
        match (dark, start) {
            (true, None) => start = Some(x),
            (false, Some(from)) => {
                // Writing to a String cannot fail.
                let _ = write!(path, "M{} {top}h{}v{height}h-{1}z", from + left, x - from);
                start = None;
            }
            _ => {}
        }
    }
}

fn picture(width: usize, height: usize, label: &str, path: &str) -> String {
    let label = label.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which modules of a picture are dark, read from its path again.
    fn dark(svg: &str, width: usize, height: usize) -> Vec<Vec<bool>> {
        let mut modules = vec![vec![false; width]; height];
        let path = svg.split("d=\"").nth(1).unwrap().split('"').next().unwrap();
        for run in path.split('M').skip(1) {
            let numbers: Vec<usize> =
                run.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok()).collect();
            for row in &mut modules[numbers[1]..numbers[1] + numbers[3]] {
                row[numbers[0]..numbers[0] + numbers[2]].fill(true);
            }
        }
        modules
    }

    #[test]
    fn a_qr_code_is_drawn_module_by_module_within_white() {
        let card = format!("GD1.{}", "A".repeat(124));
        let code = QrCode::with_error_correction_level(&card, EcLevel::M).unwrap();
        let width = code.width() + 8;
        assert_eq!(code.width(), 41, "a card is read in the alphanumeric mode");
        let modules = dark(&svg_qr(&card, "Card").unwrap(), width, width);
        for (y, row) in modules.iter().enumerate() {
            for (x, dark) in row.iter().enumerate() {
                let inside = (4..width - 4).contains(&x) && (4..width - 4).contains(&y);
                assert_eq!(*dark, inside && code[(x.wrapping_sub(4), y.wrapping_sub(4))] == Color::Dark);
            }
        }
        assert!(svg_qr(&"x".repeat(601), "Card").is_none());
    }

    /// The patterns of Code 128: start C, the pairs, the check symbol, stop.
    #[test]
    fn a_bar_code_holds_two_digits_in_a_symbol() {
        let svg = svg_bar_code("0042", "Number").unwrap();
        let row = &dark(&svg, 11 * 4 + 13 + 20, 50)[0];
        let bars: String = row[10..row.len() - 10].iter().map(|dark| if *dark { '1' } else { '0' }).collect();
        // 105 start · 00 · 42 · check (105 + 1 × 0 + 2 × 42) mod 103 = 86 · stop
        assert_eq!(bars, ["11010011100", "11011001100", "10110111000", "11110100100"].concat() + "1100011101011");
        for wrong in ["", "123", "12a4", "1２", &"1".repeat(42)] {
            assert!(svg_bar_code(wrong, "Number").is_none());
        }
    }

    #[test]
    fn a_picture_brings_no_style_and_no_foreign_markup() {
        let svg = svg_qr("otpauth://totp/a?secret=b", "\"><script>&").unwrap();
        assert!(!svg.contains("style") && !svg.contains("<script"));
        assert!(svg.contains("aria-label=\"&quot;>&lt;script>&amp;\""));
    }
}
