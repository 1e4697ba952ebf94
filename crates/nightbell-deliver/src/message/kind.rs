/*!
Which kind of mail an alarm makes: its colour, its label, what it means, and what is shown first.

Decided by the evidence and by how the alarm is set, never by its name. The sentences are advice for somebody who was
woken up: what the events mean, and where to look first.
*/

use nightbell_core::alarm::{State, Transition};
use nightbell_core::evidence::Evidence;

use super::moment;
use super::story::{self, Deed};

/// A kind of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Access to files was denied.
    Denied,
    /// Somebody failed to log on.
    FailedLogons,
    /// Somebody logged on after failing to.
    LogonAfterFailures,
    /// Many accounts, few tries each.
    Spray,
    /// Files were deleted.
    Deletion,
    /// Files were read or opened.
    Reading,
    /// Accounts were locked out.
    Lockout,
    /// A log was cleared or auditing was changed.
    Tampering,
    /// Something that reported stopped to.
    Silent,
    /// Records of an event log never came.
    Missing,
    /// A number that is far from what it usually is.
    Unusual,
    /// Those that are no longer counted one by one.
    Others,
    /// Any other events.
    Events,
    /// A number without events.
    Metric,
    /// The alarm is over.
    Recovered,
    /// Too little is known.
    TooLittle,
}

/// A part of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    User,
    Account,
    Folder,
    File,
    Machine,
    Address,
    Reason,
}

/// What a kind looks like.
pub(super) struct Look {
    /// Said in capitals above the headline.
    pub(super) label: &'static str,
    /// The band's colour; white words on it can be read.
    pub(super) accent: &'static str,
    /// The same on dark ground: red, green, blue.
    pub(super) bright: (u8, u8, u8),
    /// What is counted, in the plural; empty where only the metric's name says it.
    pub(super) counted: &'static str,
    /// What it means and where to look first.
    pub(super) meaning: &'static str,
    /// The parts of the evidence, most telling first.
    pub(super) parts: &'static [Part],
}

const BY_USER: &[Part] = &[Part::User, Part::Folder, Part::File, Part::Machine, Part::Address, Part::Reason];
const BY_MACHINE: &[Part] =
    &[Part::Machine, Part::Account, Part::Address, Part::Reason, Part::Folder, Part::File];

/// The look of an alarm of which nothing special is known.
const PLAIN: Look = Look {
    label: "Alarm",
    accent: "#1d4ed8",
    bright: (0x84, 0xad, 0xff),
    counted: "",
    meaning: "",
    parts: BY_USER,
};

impl Kind {
    /// The kind of mail that `transition` makes.
    pub(super) fn of(transition: &Transition) -> Self {
        match transition.to {
            State::Ok => Self::Recovered,
            State::InsufficientData => Self::TooLittle,
            State::Alarm if moment::is_of_others(transition) => Self::Others,
            State::Alarm if moment::is_silence(transition) => Self::Silent,
            State::Alarm if moment::counts_missing(&transition.alarm) => Self::Missing,
            State::Alarm if transition.alarm.band.is_some() => Self::Unusual,
            State::Alarm => Self::of_events(&transition.evidence),
        }
    }

    /// The kind that the events make.
    pub(super) fn of_events(evidence: &Evidence) -> Self {
        match story::deed(evidence) {
            _ if evidence.is_empty() => Self::Metric,
            Deed::Denied => Self::Denied,
            Deed::FailedLogon => Self::FailedLogons,
            Deed::LogonAfterFailures { .. } => Self::LogonAfterFailures,
            Deed::Spray => Self::Spray,
            Deed::Counted { .. } => match story::only(&evidence.actions, evidence.events) {
                Some("delete") => Self::Deletion,
                Some("read" | "open") => Self::Reading,
                Some("lockout") => Self::Lockout,
                Some("log-cleared" | "policy") => Self::Tampering,
                _ => Self::Events,
            },
        }
    }

    /// What the mail of `transition` looks like. An unusual number is counted and shown as its events are.
    pub(super) fn look_of(transition: &Transition) -> Look {
        let kind = Self::of(transition);
        let look = kind.look();
        if kind != Self::Unusual || transition.evidence.is_empty() {
            return look;
        }
        let events = Self::of_events(&transition.evidence).look();
        Look { counted: events.counted, parts: events.parts, ..look }
    }

    /// What it looks like.
    pub(super) const fn look(self) -> Look {
        match self {
            Self::Denied => Look {
                label: "Access denied",
                accent: "#b42318",
                bright: (0xff, 0x7b, 0x72),
                counted: "denied accesses",
                meaning: "Windows refused every one of these: nothing was opened. Ask whether this user has business \
                          in this folder; many files in a short time point to a script or a search.",
                parts: BY_USER,
            },
            Self::FailedLogons => Look {
                label: "Failed logons",
                accent: "#b54708",
                bright: (0xff, 0xa6, 0x57),
                counted: "failed logons",
                meaning: "None of these got in. One account again and again is a guessed password, or a service that \
                          still has the old one: look at the address first.",
                parts: BY_MACHINE,
            },
            Self::LogonAfterFailures => Look {
                label: "Logon after failures",
                accent: "#b54708",
                bright: (0xff, 0xa6, 0x57),
                counted: "logons",
                meaning: "A guessed password may have worked. Ask the owner of the account now; if it was somebody \
                          else, disable it, and look at what was done from the address since.",
                parts: BY_MACHINE,
            },
            Self::Spray => Look {
                label: "Password spray",
                accent: "#a11356",
                bright: (0xff, 0x8f, 0xc2),
                counted: "attempts",
                meaning: "Many accounts with few tries each stays below the lockout on purpose. Block the address; \
                          then look for a logon from it that succeeded.",
                parts: &[Part::Address, Part::Machine, Part::Account, Part::Reason],
            },
            Self::Deletion => Look {
                label: "Mass deletion",
                accent: "#6d28d9",
                bright: (0xb7, 0x9b, 0xff),
                counted: "deletions",
                meaning: "These files are gone from the share; shadow copies and backups may still hold them. If this \
                          user should not be deleting now, disable the account first and ask afterwards.",
                parts: BY_USER,
            },
            _ => self.look_of_the_rest(),
        }
    }

    const fn look_of_the_rest(self) -> Look {
        match self {
            Self::Reading => Look {
                label: "Mass reading",
                accent: "#4338ca",
                bright: (0xa5, 0xb4, 0xfc),
                counted: "file accesses",
                meaning: "These succeeded: the files were opened. Far more than usual by one user is a backup, a \
                          search, or copies leaving the house.",
                ..PLAIN
            },
            Self::Lockout => Look {
                label: "Lockout",
                accent: "#8a5a00",
                bright: (0xf2, 0xcc, 0x60),
                counted: "lockouts",
                meaning: "Windows locked the account after too many wrong passwords. The computer they came from is \
                          named below; a forgotten session or telephone is the usual reason.",
                parts: &[Part::Account, Part::Address, Part::Machine, Part::Reason],
            },
            Self::Tampering => Look {
                label: "Audit tampering",
                accent: "#86198f",
                bright: (0xf0, 0xab, 0xfc),
                counted: "changes",
                meaning: "Whoever did this had administrator's rights, and what happens on the machine from now on \
                          may leave no trace there. Events that had arrived here before are kept.",
                parts: &[Part::Machine, Part::User, Part::Address, Part::Reason],
            },
            Self::Silent => Look {
                label: "Silent",
                accent: "#475467",
                bright: (0xcb, 0xd5, 0xe1),
                counted: "events",
                meaning: "A machine that sends nothing is switched off, cut off, or its agent was stopped. While it \
                          is silent, nothing on it is watched.",
                ..PLAIN
            },
            Self::Recovered => {
                Look { label: "Back to OK", accent: "#067647", bright: (0x56, 0xd6, 0x8f), ..PLAIN }
            }
            Self::TooLittle => {
                Look { label: "Too little data", accent: "#667085", bright: (0xaa, 0xb4, 0xc3), ..PLAIN }
            }
            Self::Others => Look { label: "Too many at once", ..PLAIN },
            Self::Events => Look { label: "Events", counted: "events", ..PLAIN },
            _ => self.look_of_numbers(),
        }
    }

    const fn look_of_numbers(self) -> Look {
        match self {
            Self::Missing => Look {
                label: "Missing events",
                accent: "#9f1239",
                bright: (0xfd, 0xa4, 0xaf),
                counted: "missing events",
                meaning: "Windows numbers its records without holes, and these never came here. The agent was stopped, \
                          or somebody removed them: compare with the log on the machine itself.",
                parts: BY_MACHINE,
            },
            Self::Unusual => Look {
                label: "Unusual",
                accent: "#155e75",
                bright: (0x67, 0xe8, 0xf9),
                counted: "",
                meaning: "This need not be wrong; it is far from what such hours showed before. See who and what \
                          stands behind it, and what changed.",
                parts: BY_USER,
            },
            _ => PLAIN,
        }
    }
}
