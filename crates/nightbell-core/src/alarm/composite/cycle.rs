/*!
Composites that lead back to themselves: found before they are saved, so that one change never goes round for ever.
*/

use std::collections::{BTreeMap, BTreeSet};

use super::AlarmRule;

/// The way from `new` back to itself, `new` first and last, if its rule leads there; `rules` gives the rules of the
/// composites that exist, and nothing for other alarms. Each alarm is looked at once.
pub fn find_cycle<'r>(
    new: (&str, &'r AlarmRule),
    rules: &dyn Fn(&str) -> Option<&'r AlarmRule>,
) -> Option<Vec<String>> {
    let (root, rule) = new;
    let mut parents: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open: Vec<(&str, &BTreeSet<String>)> = vec![(root, rule.children())];
    while let Some((parent, children)) = open.pop() {
        for child in children {
            if child == root {
                return Some(way(root, parent, &parents));
            }
            if !parents.contains_key(child.as_str()) {
                parents.insert(child, parent);
                open.extend(rules(child).map(|rule| (child.as_str(), rule.children())));
            }
        }
    }
    None
}

/// From `root` down to `last`, and `root` again.
fn way(root: &str, last: &str, parents: &BTreeMap<&str, &str>) -> Vec<String> {
    let mut way = vec![root.to_owned()];
    let mut at = last;
    while at != root {
        way.push(at.to_owned());
        let Some(parent) = parents.get(at) else { break };
        at = parent;
    }
    way.push(root.to_owned());
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::super::Site;
    use super::*;

    const SITE: Site<'static> = Site { region: "us-east-1", account: "123456789012" };

    fn cycle(new: (&str, &str), others: &[(&str, &str)]) -> Option<Vec<String>> {
        let read = |text| AlarmRule::parse(text, &SITE).unwrap();
        let known: BTreeMap<String, AlarmRule> =
            others.iter().map(|(name, rule)| (SITE.alarm_arn(name), read(rule))).collect();
        let found = find_cycle((&SITE.alarm_arn(new.0), &read(new.1)), &|arn| known.get(arn));
        let name = |arn: String| arn.rsplit(':').next().unwrap_or_default().to_owned();
        found.map(|way| way.into_iter().map(name).collect())
    }

    #[test]
    fn finds_the_way_back() {
        type Row = (&'static str, &'static [(&'static str, &'static str)], Option<&'static [&'static str]>);
        let rows: [Row; 6] = [
            ("ALARM(metric)", &[("b", "ALARM(a)")], None),
            ("ALARM(a)", &[], Some(&["a", "a"])),
            ("ALARM(b) OR OK(c)", &[("b", "ALARM(c)"), ("c", "OK(d)")], None), // a diamond is no cycle
            ("OK(b)", &[("b", "NOT ALARM(a)")], Some(&["a", "b", "a"])),
            ("OK(b)", &[("b", "ALARM(c)"), ("c", "AT_LEAST(1, OK, (x, a))")], Some(&["a", "b", "c", "a"])),
            ("OK(b)", &[("b", "ALARM(c)"), ("c", "ALARM(b)")], None), // one that does not hold the new alarm ends, too
        ];
        for (rule, others, expected) in rows {
            let expected = expected.map(|way| way.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
            assert_eq!(cycle(("a", rule), others), expected, "{rule}");
        }
    }

    #[test]
    fn a_long_chain_is_followed_without_depth() {
        let names: Vec<String> = (0..20_000).map(|i| format!("n{i}")).collect();
        let read = |text: &str| AlarmRule::parse(text, &SITE).unwrap();
        let known: BTreeMap<String, AlarmRule> = names
            .windows(2)
            .map(|pair| (SITE.alarm_arn(&pair[0]), read(&format!("ALARM({})", pair[1]))))
            .collect();
        let new = (SITE.alarm_arn("n19999"), read("ALARM(n0)"));
        let way = find_cycle((&new.0, &new.1), &|arn| known.get(arn)).unwrap();
        assert_eq!(way.len(), 20_001);
    }
}
