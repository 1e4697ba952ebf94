/*!
The pages of a listing: which part of all it shows, and the token that asks for the next. Knows no operation.
*/

/// What a listing's caller asked for.
pub(super) struct Page {
    /// Most objects wanted.
    pub(super) limit: Option<i64>,
    /// Where the last page ended.
    pub(super) token: Option<String>,
    /// Objects of a page when nothing is asked.
    pub(super) default: usize,
    /// Most objects that may be asked.
    pub(super) max: usize,
    /// Whether the listing goes from the last name to the first.
    pub(super) descending: bool,
}

impl Page {
    fn is_behind(&self, name: &String, last: &String) -> bool {
        if self.descending { name < last } else { name > last }
    }
}

/// The page of `all` after the token, and the next token. `all` is in the order of `name`, and the token is the last name
/// shown, so that what comes and goes between two pages disturbs nothing else.
pub(super) fn page<T>(
    all: Vec<T>,
    page: &Page,
    name: impl Fn(&T) -> &String,
) -> Result<(Vec<T>, Option<String>), String> {
    let limit = match page.limit {
        None => page.default,
        Some(asked) => usize::try_from(asked).ok().filter(|n| (1..=page.max).contains(n)).ok_or_else(|| {
            format!(
                "1 validation error detected: Value '{asked}' at 'limit' failed to satisfy constraint: Member must have value between 1 and {}",
                page.max
            )
        })?,
    };
    let start = match &page.token {
        None => 0,
        Some(token) => {
            let last = read_token(token).ok_or_else(|| "The specified nextToken is invalid.".to_owned())?;
            all.iter().position(|item| *name(item) == last).map_or_else(
                || all.iter().position(|item| page.is_behind(name(item), &last)).unwrap_or(all.len()),
                |shown| shown + 1,
            )
        }
    };
    let more = all.len() > start + limit;
    let shown: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let next = shown.last().filter(|_| more).map(|item| write_token(name(item)));
    Ok((shown, next))
}

fn write_token(name: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name)
}

fn read_token(token: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all = || ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let at = |token, limit| {
            page(all(), &Page { limit, token, default: 2, max: 3, descending: false }, |name| name)
        };
        let (first, token) = at(None, None).unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, token) = at(token, Some(3)).unwrap();
        assert_eq!((second.len(), token), (3, None));
        for bad in [0, -1, 4] {
            assert!(at(None, Some(bad)).unwrap_err().contains("between 1 and 3"), "{bad}");
        }
        assert!(at(Some("%%".into()), None).unwrap_err().contains("nextToken"));
    }

    #[test]
    fn a_falling_page_ends_though_its_last_item_is_gone() {
        let at = |all: &[&str], token| {
            let all = all.iter().map(|s| (*s).to_owned()).collect();
            page(all, &Page { limit: Some(1), token, default: 1, max: 9, descending: true }, |name| name)
        };
        let (_, token) = at(&["c", "b", "a"], None).unwrap();
        let (second, token) = at(&["d", "b", "a"], token).unwrap();
        assert_eq!(second, ["b"]);
        assert_eq!(at(&["d", "b", "a"], token).unwrap(), (vec!["a".to_owned()], None));
    }

    #[test]
    fn a_page_goes_on_though_its_last_item_is_gone() {
        let at = |all: &[&str], token| {
            page(
                all.iter().map(|s| (*s).to_owned()).collect(),
                &Page { limit: Some(1), token, default: 1, max: 9, descending: false },
                |name| name,
            )
        };
        let (_, token) = at(&["a", "b", "c"], None).unwrap();
        assert_eq!(at(&["b", "c"], token).unwrap().0, ["b"]);
    }
}
