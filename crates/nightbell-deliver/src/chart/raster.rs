/*!
From SVG to pixels, with the letters that stand beside this file and no others: the same picture on every machine.
*/

use std::sync::{Arc, LazyLock};

use resvg::{tiny_skia, usvg};

use super::{ChartError, WIDTH_PX};

/// Largest factor between CSS pixels and those of the picture.
pub(super) const SCALE_MAX: f32 = 3.0;

/// The letters: Inter, cut to Latin (see `fonts/README.md`).
const LETTERS: [&[u8]; 2] =
    [include_bytes!("fonts/inter-latin-400.ttf"), include_bytes!("fonts/inter-latin-600.ttf")];

static OPTIONS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    for letters in LETTERS {
        fonts.load_font_data(letters.to_vec());
    }
    usvg::Options { fontdb: Arc::new(fonts), font_family: "Inter".to_owned(), ..usvg::Options::default() }
});

/// The SVG document `svg`, [`WIDTH_PX`] wide and `height_px` high, as PNG, `scale` (1 to 3) pixels for each CSS pixel.
pub(super) fn png(svg: &str, height_px: u32, scale: f32) -> Result<Vec<u8>, ChartError> {
    png_of(svg, (WIDTH_PX, height_px), scale)
}

/// The same for a document of any width and height.
pub(super) fn png_of(svg: &str, size_px: (u32, u32), scale: f32) -> Result<Vec<u8>, ChartError> {
    let failed = |reason: String| ChartError { reason };
    let tree = usvg::Tree::from_str(svg, &OPTIONS).map_err(|error| failed(error.to_string()))?;
    let scale = if scale.is_finite() { scale.clamp(1.0, SCALE_MAX) } else { 1.0 };
    let size = |pixels: u32| (pixels as f32 * scale).round() as u32;
    let mut pixels = tiny_skia::Pixmap::new(size(size_px.0), size(size_px.1))
        .ok_or_else(|| failed("the picture has no size".to_owned()))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| failed(error.to_string()))
}
