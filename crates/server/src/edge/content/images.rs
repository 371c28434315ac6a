//! PNG, JPEG and WebP: their structure from the first byte to the last, so that nothing else hides in or behind them.

use super::IMAGE_PIXELS;

type Fit = Result<(), String>;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The signature, then chunks up to `IEND`, which ends the file.
pub fn png(image: &[u8]) -> Fit {
    let mut rest = image.strip_prefix(PNG).ok_or("it does not begin as a PNG does")?;
    let mut first = true;
    loop {
        let (length, after) = rest.split_first_chunk::<4>().ok_or("it ends early")?;
        let (kind, after) = after.split_first_chunk::<4>().ok_or("it ends early")?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| "a chunk is too large")?;
        let data = after.get(..length).ok_or("it ends early")?;
        // Four bytes of check sum follow.
        rest = after.get(length.saturating_add(4)..).ok_or("it ends early")?;
        if std::mem::take(&mut first) {
            let Some(([a, b, c, d], after)) = data.split_first_chunk::<4>() else {
                return Err("it has no size".into());
            };
            let Some(([e, f, g, h], _)) = after.split_first_chunk::<4>() else { return Err("it has no size".into()) };
            if kind != b"IHDR" {
                return Err("it has no size".into());
            }
            size(u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))?;
        }
        if kind == b"IEND" {
            return if rest.is_empty() { Ok(()) } else { Err("more follows its end".into()) };
        }
    }
}

/// Segments up to the scan, one of them with the size, and the end marker as the last bytes.
pub fn jpeg(image: &[u8]) -> Fit {
    let mut rest = image.strip_prefix(b"\xff\xd8").ok_or("it does not begin as a JPEG does")?;
    let mut sized = false;
    loop {
        let ([mark, kind], after) = rest.split_first_chunk::<2>().ok_or("it ends early")?;
        if *mark != 0xff {
            return Err("its segments do not follow each other".into());
        }
        if *kind == 0xff {
            // A fill byte.
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let (length, _) = after.split_first_chunk::<2>().ok_or("it ends early")?;
        let length = usize::from(u16::from_be_bytes(*length));
        let segment = after.get(2..length).ok_or("it ends early")?;
        rest = after.get(length..).ok_or("it ends early")?;
        match kind {
            // The frame headers; C4, C8 and CC are of other kinds.
            0xc0..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) => {
                let ([_, a, b, c, d], _) = segment.split_first_chunk::<5>().ok_or("it has no size")?;
                size(u16::from_be_bytes([*c, *d]).into(), u16::from_be_bytes([*a, *b]).into())?;
                sized = true;
            }
            0xda if !sized => return Err("it has no size".into()),
            0xda => return scan(rest),
            _ => {}
        }
    }
}

/// From the first scan on there are compressed bytes and more segments; only the end can be told.
fn scan(rest: &[u8]) -> Fit {
    let end = rest.windows(2).position(|pair| pair == b"\xff\xd9").ok_or("it ends early")?;
    if end + 2 == rest.len() { Ok(()) } else { Err("more follows its end".into()) }
}

/// A RIFF container that is as long as it says, with a first chunk of an image's kind and its size.
pub fn webp(image: &[u8]) -> Fit {
    let (riff, after) = image.split_first_chunk::<4>().ok_or("it is too short")?;
    let (length, after) = after.split_first_chunk::<4>().ok_or("it is too short")?;
    let (form, chunks) = after.split_first_chunk::<4>().ok_or("it is too short")?;
    if riff != b"RIFF" || form != b"WEBP" {
        return Err("it does not begin as a WebP does".into());
    }
    if usize::try_from(u32::from_le_bytes(*length)).ok() != image.len().checked_sub(8) {
        return Err("it is not as long as it says".into());
    }
    let (kind, chunk) = chunks.split_first_chunk::<4>().ok_or("it ends early")?;
    let data = chunk.get(4..).ok_or("it ends early")?;
    let (width, height) = match (kind, data) {
        (b"VP8X", [_, _, _, _, a, b, c, d, e, f, ..]) => {
            (u32::from_le_bytes([*a, *b, *c, 0]) + 1, u32::from_le_bytes([*d, *e, *f, 0]) + 1)
        }
        (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, a, b, c, d, ..]) => {
            (u32::from(u16::from_le_bytes([*a, *b]) & 0x3fff), u32::from(u16::from_le_bytes([*c, *d]) & 0x3fff))
        }
        (b"VP8L", [0x2f, a, b, c, d, ..]) => {
            let bits = u32::from_le_bytes([*a, *b, *c, *d]);
            ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
        }
        _ => return Err("it has no size".into()),
    };
    size(width, height)
}

fn size(width: u32, height: u32) -> Fit {
    if width == 0 || height == 0 {
        return Err("it has no size".into());
    }
    if width > IMAGE_PIXELS || height > IMAGE_PIXELS {
        return Err(format!("it has {width} × {height} pixels, more than {IMAGE_PIXELS} on a side"));
    }
    Ok(())
}
