/*!
Mails of contributors: of those no longer counted one by one, of logons after failed ones, and of events that name nobody.
*/

use nightbell_core::alarm::Contributor;
use nightbell_core::alarm::contributors::OTHERS;
use nightbell_core::delivery::IncidentMessage;
use nightbell_core::incident::NoteKind;

use super::kinds::{note, per};
use super::*;

const TOO_MANY: &str =
    "failed-logons: too many users at once, those that counted least are no longer counted one by one";
const REASON: &str = "More than 10000 contributors at once: those that counted least gave way, each after 4.0 at most, \
                      so one of them may have crossed the threshold (5.0) unseen.";

fn others() -> Transition {
    changed(per(logons(), "FailedLogons", "Account", OTHERS), |t| {
        t.contributor = Some(Contributor::of(&["Account".to_owned()], &[]));
        t.alarm.name = "failed-logons".to_owned();
        t.value = Some(5.0);
        t.reason = REASON.to_owned();
    })
}

/// The mail that its incident is over.
fn ended(transition: &Transition) -> Mail {
    let mut note = note(NoteKind::End);
    note.incident.alarm_name.clone_from(&transition.alarm.name);
    note.incident.contributor.clone_from(&transition.contributor);
    note.incident.evidence = transition.evidence.clone();
    let (alarm, account) = (transition.alarm.clone(), transition.account.clone());
    written(&delivery(Content::Incident(Box::new(IncidentMessage { alarm, account, note }))))
}

#[test]
fn those_not_counted_one_by_one_say_so() {
    let alarm = mail(others());
    assert_eq!(alarm.subject, format!("[ALARM] {TOO_MANY}"));
    assert!(alarm.text.starts_with(&format!("{TOO_MANY} since 2021-06-01 ")), "{}", alarm.text);
    assert!(alarm.text.contains(&format!("\n\n{REASON}\n\n")), "{}", alarm.text);
    for wrong in ["guessed password", "(was 5)", "None of these"] {
        assert!(!alarm.text.contains(wrong), "{wrong}: {}", alarm.text);
    }
    let html = alarm.html.unwrap();
    assert!(html.contains("Too many at once") && !html.contains("Failed logons"));

    let over = changed(others(), |t| {
        t.to = State::Ok;
        t.value = None;
        t.evidence = Evidence::default();
        t.reason = "All contributors are counted one by one again.".to_owned();
    });
    assert_eq!(mail(over).subject, "[OK] failed-logons: all users are counted one by one again");
    assert_eq!(ended(&others()).subject, format!("[OK] over: {TOO_MANY} (12 min)"));
    let called_so = changed(others(), |t| {
        t.contributor = per(logons(), "FailedLogons", "Account", OTHERS).contributor;
        t.reason = transition().reason;
    });
    assert!(mail(called_so).subject.starts_with("[ALARM] 16 failed logons"), "somebody of that name");
}

#[test]
fn a_full_tally_claims_no_more_than_it_holds() {
    let users: Vec<String> = (0..64).map(|n| format!("u{n}")).collect();
    let users: Vec<(&str, u64)> = users.iter().map(|user| (user.as_str(), 1)).collect();
    let full = changed(logons(), |t| {
        t.evidence.events = 400;
        t.evidence.actions = tally(&[("logon", 400)]);
        t.evidence.outcomes = tally(&[("failure", 400)]);
        t.evidence.users = Tally { others: 336, ..tally(&users) };
    });
    assert_eq!(
        mail(full).subject,
        "[ALARM] 400 failed logons on win, 64 or more accounts, from 10.0.0.5 (5 min)"
    );
}

#[test]
fn a_logon_after_failed_ones_is_told_as_that() {
    let after = changed(per(logons(), "SuccessesAfter", "Account", r"corp\victim"), |t| {
        t.alarm.period_s = 600;
        t.value = Some(1.0);
        t.evidence.events = 7;
        t.evidence.actions = tally(&[("logon", 7)]);
        t.evidence.outcomes = tally(&[("failure", 6), ("success", 1)]);
        t.evidence.users = tally(&[(r"corp\victim", 7)]);
        t.evidence.instances = tally(&[("srv2", 7)]);
        t.evidence.sources = tally(&[("198.51.100.77", 7)]);
    });
    let alarm = mail(after.clone());
    let told = r"corp\victim logged on after 6 failed logons, on srv2, from 198.51.100.77";
    assert_eq!(alarm.subject, format!("[ALARM] {told} (10 min)"));
    assert!(alarm.text.starts_with(told) && alarm.text.contains("A guessed password may have worked."));
    let html = alarm.html.unwrap();
    let first = html.find("failed logons in 10 min").unwrap();
    assert!(first < html.find("that succeeded").unwrap());
    assert_eq!(ended(&after).subject, format!("[OK] over: {told} (12 min)"));

    let several = changed(after.clone(), |t| t.evidence.users = tally(&[("a", 4), ("b", 3)]));
    let subject = "[ALARM] 1 logon after 6 failed logons on srv2, 2 accounts, from 198.51.100.77 (10 min)";
    assert_eq!(mail(several).subject, subject);
    let mostly_fine = changed(after, |t| t.evidence.outcomes = tally(&[("failure", 1), ("success", 6)]));
    assert!(mail(mostly_fine).subject.starts_with("[ALARM] 7 logons on srv2"));
}

#[test]
fn events_that_name_nobody_are_told_by_their_contributor() {
    let json = changed(per(transition(), "n", "U", "eve"), |t| {
        t.alarm.name = "pmd".to_owned();
        t.evidence = Evidence { events: 6, first: Some(FIRST), last: Some(FIRST), ..Evidence::default() };
    });
    let alarm = mail(json.clone());
    assert_eq!(alarm.subject, "[ALARM] pmd: Sum 6 > 5 (1 min), U=eve");
    assert!(alarm.text.starts_with("pmd: Sum of n was 6, U=eve at 2021-06-01 "), "{}", alarm.text);
    let fact = alarm.text.lines().find(|line| line.starts_with("Counted for")).unwrap();
    assert!(fact.ends_with(" U=eve"), "{fact}");
    let over = ended(&json);
    assert_eq!(over.subject, "[OK] over: pmd, U=eve (12 min)");
    assert!(over.text.contains("\nCounted for "));
}
