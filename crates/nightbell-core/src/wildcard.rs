/*!
Patterns with `*` and `?`, as tokens, and the one function that holds a text against them.

Two kinds of each: one that may pass a colon and one that stays inside its segment of an ARN. Matching takes no memory
and never returns to more than the last run of each kind: an earlier one cannot do better, because a run inside a segment
always starts in the same segment, and a free run makes up for whatever came before it.
*/

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// This byte.
    Byte(u8),
    /// Any one character.
    One,
    /// Any one character but a colon.
    OneInSegment,
    /// Any characters, also none.
    Run,
    /// Any characters but colons, also none.
    RunInSegment,
}

/// Whether case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// It does.
    Exact,
    /// ASCII letters are equal in both cases; the pattern is in lower case.
    Folded,
}

/// Whether the whole text matches the pattern.
pub(crate) fn matches(pattern: &[Token], text: &str, case: Case) -> bool {
    let text = text.as_bytes();
    let (mut at, mut position) = (0, 0);
    // Where to go on after the last run of each kind: its next token, and how far it has reached.
    let mut free: Option<(usize, usize)> = None;
    let mut inside: Option<(usize, usize)> = None;
    loop {
        match pattern.get(at) {
            None if position == text.len() => return true,
            None => {}
            Some(Token::Run) => {
                at += 1;
                if at == pattern.len() {
                    return true;
                }
                (free, inside) = (Some((at, position)), None);
                continue;
            }
            Some(Token::RunInSegment) => {
                at += 1;
                inside = Some((at, position));
                continue;
            }
            Some(token) => {
                if let Some(next) = step(*token, text, position, case) {
                    (at, position) = (at + 1, next);
                    continue;
                }
            }
        }
        if let Some((after, reached)) =
            inside.filter(|(_, reached)| text.get(*reached).is_some_and(|b| *b != b':'))
        {
            let reached = next_char(text, reached);
            inside = Some((after, reached));
            (at, position) = (after, reached);
        } else if let Some((after, reached)) = free.filter(|(_, reached)| *reached < text.len()) {
            let reached = next_char(text, reached);
            (free, inside) = (Some((after, reached)), None);
            (at, position) = (after, reached);
        } else {
            return false;
        }
    }
}

/// Where the text goes on when `token` takes what stands at `position`.
fn step(token: Token, text: &[u8], position: usize, case: Case) -> Option<usize> {
    let byte = *text.get(position)?;
    let takes = match (token, case) {
        (Token::Byte(wanted), Case::Exact) => byte == wanted,
        (Token::Byte(wanted), Case::Folded) => byte.to_ascii_lowercase() == wanted,
        (Token::One, _) => return Some(next_char(text, position)),
        (Token::OneInSegment, _) if byte != b':' => return Some(next_char(text, position)),
        _ => false,
    };
    takes.then_some(position + 1)
}

/// The start of the character after the one at `position`.
fn next_char(text: &[u8], position: usize) -> usize {
    let width = match text[position] {
        0xf0.. => 4,
        0xe0..0xf0 => 3,
        0xc0..0xe0 => 2,
        _ => 1,
    };
    (position + width).min(text.len())
}
