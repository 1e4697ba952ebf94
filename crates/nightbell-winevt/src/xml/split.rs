/*!
Cuts a text that holds several events one after another, as delivery streams concatenate them.
*/

/// The events in `text`: it is cut behind each `</Event>`; blank pieces are left out, a broken-off last piece is kept.
///
/// The end tag is searched as text, which is right for everything Windows writes: inside a value it would be escaped.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let piece = match rest.find("</Event>") {
            Some(at) => {
                let (piece, after) = rest.split_at(at + "</Event>".len());
                rest = after;
                piece
            }
            None => std::mem::take(&mut rest),
        };
        let piece = piece.trim();
        (!piece.is_empty()).then_some(piece)
    })
}
