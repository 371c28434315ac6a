//! What an upload is, told by its bytes and not by its name or by what the sender says.

mod images;
mod texts;

use std::io::{self, Read, Seek, SeekFrom};

/// Largest side of an image, in pixels: a small file can unfold into gigabytes.
pub const IMAGE_PIXELS: u32 = 8_192;
/// Entries of an archive.
pub const ARCHIVE_ENTRIES: usize = 1_000;
/// What an archive may unfold into, in bytes.
pub const ARCHIVE_BYTES: u64 = 1 << 30;

/// A kind of upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Comma-separated values in UTF-8.
    Csv,
    /// A JSON object on each line, in UTF-8.
    JsonLines,
    /// A PNG image.
    Png,
    /// A JPEG image.
    Jpeg,
    /// A WebP image.
    Webp,
    /// A ZIP archive.
    Zip,
}

/// Why an upload is refused.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is larger than what is taken.
    #[error("the upload has {bytes} bytes, more than the {most} that are taken")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// Nothing was sent.
    #[error("the upload is empty")]
    Empty,
    /// It is not what it is said to be.
    #[error("the upload is said to be {declared}, and is not: {reason}", declared = .declared.name())]
    Mismatch {
        /// What the sender says.
        declared: Content,
        /// What does not fit.
        reason: String,
    },
    /// It cannot be read.
    #[error("the upload cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl Content {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Csv, Self::JsonLines, Self::Png, Self::Jpeg, Self::Webp, Self::Zip];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::JsonLines => "JSON Lines",
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Webp => "WebP",
            Self::Zip => "ZIP",
        }
    }

    /// Its media type, to be answered with when it is handed out again.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/jsonl; charset=utf-8",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Zip => "application/zip",
        }
    }

    /// The kind that a sender declares by a media type, its parameters left aside.
    pub fn of_media_type(text: &str) -> Option<Self> {
        Some(match text.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "text/csv" => Self::Csv,
            "application/jsonl" | "application/x-ndjson" | "application/ndjson" => Self::JsonLines,
            "image/png" => Self::Png,
            "image/jpeg" => Self::Jpeg,
            "image/webp" => Self::Webp,
            "application/zip" => Self::Zip,
            _ => return None,
        })
    }

    /// The kind that a file's name promises.
    pub fn of_file_name(name: &str) -> Option<Self> {
        Some(match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "csv" => Self::Csv,
            "jsonl" | "ndjson" => Self::JsonLines,
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpeg,
            "webp" => Self::Webp,
            "zip" => Self::Zip,
            _ => return None,
        })
    }

    /// Refuses an upload that is larger than `most` bytes or is not of this kind. Reads it through, at most once.
    pub fn check(self, upload: &mut (impl Read + Seek), most: u64) -> Result<(), ContentError> {
        let bytes = upload.seek(SeekFrom::End(0))?;
        if bytes > most {
            return Err(ContentError::TooLarge { bytes, most });
        }
        if bytes == 0 {
            return Err(ContentError::Empty);
        }
        upload.seek(SeekFrom::Start(0))?;
        let fit = match self {
            Self::Csv => texts::csv(upload)?,
            Self::JsonLines => texts::json_lines(upload)?,
            Self::Zip => zip(upload),
            Self::Png | Self::Jpeg | Self::Webp => {
                let mut image = Vec::new();
                upload.read_to_end(&mut image)?;
                match self {
                    Self::Png => images::png(&image),
                    Self::Jpeg => images::jpeg(&image),
                    _ => images::webp(&image),
                }
            }
        };
        fit.map_err(|reason| ContentError::Mismatch { declared: self, reason })
    }
}

/// A readable directory, entries that stay inside, and a size that does not explode.
fn zip(upload: &mut (impl Read + Seek)) -> Result<(), String> {
    let mut start = [0; 4];
    upload.read_exact(&mut start).and_then(|()| upload.seek(SeekFrom::Start(0))).map_err(|error| error.to_string())?;
    if &start != b"PK\x03\x04" && &start != b"PK\x05\x06" {
        return Err("it does not begin as an archive does".into());
    }
    let mut archive = zip::ZipArchive::new(upload).map_err(|error| error.to_string())?;
    if archive.len() > ARCHIVE_ENTRIES {
        return Err(format!("it has {} entries, more than {ARCHIVE_ENTRIES}", archive.len()));
    }
    let mut total = 0_u64;
    for number in 0..archive.len() {
        let entry = archive.by_index_raw(number).map_err(|error| error.to_string())?;
        if entry.enclosed_name().is_none() || entry.is_symlink() {
            return Err("an entry points outside of the archive".into());
        }
        if entry.encrypted() {
            return Err("an entry is encrypted".into());
        }
        total = total.saturating_add(entry.size());
    }
    if total > ARCHIVE_BYTES {
        return Err(format!("it unfolds into {total} bytes, more than {ARCHIVE_BYTES}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
