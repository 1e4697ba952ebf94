/*!
Metrics Insights queries: what is read can be written, reads as the same again, and judges a series alike.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::insights::{QUERY_CHARS_MAX, Query};
use nightbell_core::metric::Series;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Query::parse(text) {
        Ok(query) => {
            let written = query.to_string();
            assert!(written.chars().count() <= QUERY_CHARS_MAX);
            let again = Query::parse(&written).expect("what is written can be read");
            assert_eq!(again, query);
            let dimensions = query.group_by.iter().map(|name| (name.clone(), "value".to_owned())).collect();
            let series = Series::new("region", &query.namespace, &query.metric, dimensions);
            assert_eq!(again.admits(&series), query.admits(&series));
            assert!(!query.admits(&series) || query.group_of(&series).is_some());
        }
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.at)),
    }
});
