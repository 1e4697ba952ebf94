/*!
Rules of composite alarms: the first line of the input is a rule, the rest says which state its children are in.

Whatever is accepted is inside the limits, and the children that are said to decide do decide.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::alarm::State;
use nightbell_core::alarm::composite::rule::{AlarmRule, CHILDREN_MAX, Site};

const SITE: Site<'static> = Site { region: "eu-central-1", account: "123456789012" };

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (source, states) = text.split_once('\n').unwrap_or((text, "ABC"));
    match AlarmRule::parse(source, &SITE) {
        Ok(rule) => {
            assert!(rule.children().len() <= CHILDREN_MAX);
            let state_of = |arn: &str| {
                let place = rule.children().iter().position(|child| child == arn)?;
                match states.as_bytes().get(place)? % 4 {
                    0 => Some(State::Ok),
                    1 => Some(State::Alarm),
                    2 => Some(State::InsufficientData),
                    _ => None,
                }
            };
            let weighed = rule.weigh(&state_of);
            assert!(weighed.deciding.iter().all(|&arn| rule.children().contains(arn)));
            for other in [State::Ok, State::Alarm, State::InsufficientData] {
                let changed =
                    |arn: &str| if weighed.deciding.contains(arn) { state_of(arn) } else { Some(other) };
                assert_eq!(rule.evaluate(&changed), weighed.holds);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
