//! From the bytes that somebody uploaded to the sizes that are served. Everything is decoded and encoded anew, so that neither
//! metadata, such as where a photo was taken, nor anything else that hides in a file is handed on.

use std::io::Cursor;

use guerdon_core::limits;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GenericImageView, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

/// The widths that are served, in pixels; a picture that is narrower is never made wider.
pub const WIDTHS: [u32; 3] = [160, 480, 960];
/// A picture is at the most so many times as high as it is wide.
const TALLEST: u32 = 2;
/// Of 100.
const JPEG_QUALITY: u8 = 82;
/// What a decoder may take, in bytes: eight for each pixel.
const DECODER_BYTES: u64 = limits::PICTURE_PIXELS * 8 + (16 << 20);
/// Bytes from which on a size with transparency is laid over white instead: what is not a photo compresses better.
const TRANSPARENT_BYTES: usize = 512 << 10;

/// A size of a picture, ready to be served.
pub struct Rendered {
    /// Of [`WIDTHS`].
    pub width: u32,
    /// What it is.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A picture in all its sizes.
pub struct Sizes {
    /// Pixels of what was uploaded, as it is to be seen.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// One for each of [`WIDTHS`].
    pub files: Vec<Rendered>,
}

/// Makes the sizes of a picture. It takes a second or so and some memory. The message says what is wrong with the file.
pub fn render(bytes: &[u8]) -> Result<Sizes, String> {
    let image = decode(bytes)?;
    let (width, height) = image.dimensions();
    let is_transparent = image.color().has_alpha() && image.to_rgba8().pixels().any(|pixel| pixel.0[3] < u8::MAX);
    let mut largest = if is_transparent { image.into_rgba8().into() } else { DynamicImage::from(image.into_rgb8()) };
    let mut files = Vec::with_capacity(WIDTHS.len());
    for size in WIDTHS.into_iter().rev() {
        // Each is made from the one above it, which is quicker than from the whole and looks the same.
        largest = fit(largest, size);
        let (media_type, bytes) = encode(&largest, is_transparent).map_err(|error| format!("`file`: {error}"))?;
        files.push(Rendered { width: size, media_type, bytes });
    }
    Ok(Sizes { width, height, files })
}

/// The picture as it is to be seen. Its size is looked at before anything is unfolded.
fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    let unreadable = |error: image::ImageError| format!("`file` cannot be read as a picture: {error}");
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| format!("`file` cannot be read: {error}"))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) {
        return Err("`file` must be a PNG, JPEG or WebP; what it is called does not matter".to_owned());
    }
    let mut allowed = Limits::default();
    allowed.max_alloc = Some(DECODER_BYTES);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits::PICTURE_PIXELS {
        let most = limits::PICTURE_PIXELS;
        return Err(format!("`file` has {width} × {height} pixels; at most {most} in all are taken"));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// The picture within a width and the height that goes with it.
fn fit(image: DynamicImage, width: u32) -> DynamicImage {
    let height = width.saturating_mul(TALLEST);
    if image.width() <= width && image.height() <= height {
        return image;
    }
    image.resize(width, height, FilterType::CatmullRom)
}

fn encode(image: &DynamicImage, is_transparent: bool) -> image::ImageResult<(&'static str, Vec<u8>)> {
    if is_transparent {
        let mut bytes = Vec::new();
        image.write_with_encoder(WebPEncoder::new_lossless(Cursor::new(&mut bytes)))?;
        if bytes.len() <= TRANSPARENT_BYTES {
            return Ok(("image/webp", bytes));
        }
    }
    let mut bytes = Vec::new();
    over_white(image).write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
    Ok(("image/jpeg", bytes))
}

fn over_white(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let image = image.to_rgba8();
    let mut laid = RgbImage::new(image.width(), image.height());
    for (pixel, over) in image.pixels().zip(laid.pixels_mut()) {
        let [red, green, blue, alpha] = pixel.0.map(u16::from);
        // Between 0 and 255 again, so that nothing is lost.
        let blend = |colour: u16| u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        *over = Rgb([blend(red), blend(green), blend(blue)]);
    }
    laid
}

#[cfg(test)]
mod tests {
    use image::codecs::png::PngEncoder;
    use image::{ImageEncoder, Rgba, RgbaImage};

    use super::*;

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.write_with_encoder(PngEncoder::new(&mut bytes)).unwrap();
        bytes
    }

    /// A photo that is red on its left and blue on its right.
    fn photo(width: u32, height: u32) -> DynamicImage {
        let paint = |x, _| if x < width / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) };
        RgbImage::from_fn(width, height, paint).into()
    }

    /// The same as a JPEG with an EXIF block that says how it is to be turned, and where it was taken.
    fn turned(width: u32, height: u32, orientation: u8) -> Vec<u8> {
        let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        exif.extend(b"GPS: 51.5 N, 0.1 W");
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif).unwrap();
        photo(width, height).write_with_encoder(encoder).unwrap();
        assert!(bytes.windows(4).any(|four| four == b"GPS:"));
        bytes
    }

    fn reread(sizes: &Sizes, width: u32) -> DynamicImage {
        let file = sizes.files.iter().find(|file| file.width == width).unwrap();
        image::load_from_memory(&file.bytes).unwrap()
    }

    #[test]
    fn a_picture_is_made_in_all_widths_and_never_wider_than_it_was() {
        let sizes = render(&png(&photo(1_200, 800))).unwrap();
        assert_eq!((sizes.width, sizes.height), (1_200, 800));
        for (width, height) in [(960, 640), (480, 320), (160, 107)] {
            assert_eq!(reread(&sizes, width).dimensions(), (width, height));
        }
        assert!(sizes.files.iter().all(|file| file.media_type == "image/jpeg"));
        let small = render(&png(&photo(100, 50))).unwrap();
        assert!(WIDTHS.iter().all(|width| reread(&small, *width).dimensions() == (100, 50)));
        let tall = render(&png(&photo(300, 3_000))).unwrap();
        assert_eq!(reread(&tall, 480).dimensions(), (96, 960));
    }

    #[test]
    fn a_photo_is_turned_as_it_was_taken_and_tells_nothing_else() {
        let sizes = render(&turned(400, 200, 6)).unwrap();
        assert_eq!((sizes.width, sizes.height), (200, 400), "turned by a quarter");
        let seen = reread(&sizes, 480).to_rgb8();
        let (top, bottom) = (seen.get_pixel(100, 20), seen.get_pixel(100, 380));
        assert!(top.0[0] > 180 && bottom.0[2] > 180, "red was on the left: {top:?} {bottom:?}");
        for file in &sizes.files {
            assert!(!file.bytes.windows(4).any(|four| four == b"GPS:" || four == b"Exif"));
        }
    }

    #[test]
    fn what_is_transparent_stays_so_where_it_is_small() {
        let glass = RgbaImage::from_fn(300, 300, |x, _| Rgba([0, 120, 0, if x < 150 { 0 } else { 255 }]));
        let sizes = render(&png(&glass.into())).unwrap();
        assert!(sizes.files.iter().all(|file| file.media_type == "image/webp"));
        assert_eq!(reread(&sizes, 160).to_rgba8().get_pixel(10, 10).0[3], 0);
        let mut seed = 1_u32;
        let noise = RgbaImage::from_fn(960, 960, |_, _| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, d] = seed.to_le_bytes();
            Rgba([a, b, c, d])
        });
        let sizes = render(&png(&noise.into())).unwrap();
        assert_eq!(sizes.files[0].media_type, "image/jpeg", "laid over white");
        assert_eq!(sizes.files[2].media_type, "image/webp");
    }

    #[test]
    fn what_is_no_picture_or_unfolds_into_gigabytes_is_refused() {
        let refused = |bytes: &[u8]| render(bytes).map(|_| ()).unwrap_err();
        assert!(refused(b"GIF89a\x01\0\x01\0\0\0\0;").contains("must be a PNG, JPEG or WebP"));
        assert!(refused(b"<svg xmlns='http://www.w3.org/2000/svg'/>").contains("must be a PNG"));
        assert!(refused(b"").contains("must be a PNG"));
        let whole = png(&photo(200, 100));
        assert!(refused(&whole[..whole.len() / 2]).contains("cannot be read"));
        // A head that says 60,000 × 60,000, and nothing behind it.
        let mut bomb = whole;
        bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let said = refused(&bomb);
        assert!(said.contains("60000 × 60000 pixels") || said.contains("cannot be read"), "{said}");
    }
}
