/*!
`$.Audit.*`: what an audit event says, whatever dialect it came in.

Dialect readers fill an [`Audit`]; this file alone knows the names a rule uses for its parts.
*/

use super::{Selector, Step, Value};

/// What an audit event says. Names and paths are lower-case, because Windows compares them without case; a part the
/// event does not tell is absent, never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// `success` or `failure`, from the Keywords bits, never from rendered text.
    pub outcome: Option<&'static str>,
    /// logon, logoff, open, read, write, delete, permission, share, lockout, unlock, log-cleared, policy, account …
    pub action: Option<&'static str>,
    /// `domain\name`, or `name` where no domain is told.
    pub user: Option<String>,
    /// The machine that recorded the event.
    pub instance: Option<String>,
    /// The network address the request came from; `::ffff:` prefixes are taken off.
    pub source: Option<String>,
    /// The share, or the root folder or drive that stands for it.
    pub share: Option<String>,
    /// The file's directory inside the share, with a leading backslash.
    pub folder: Option<String>,
    /// The file's name.
    pub file: Option<String>,
    /// The share, then each folder: `$.Audit.Path[2]` is the second folder level.
    pub path: Vec<String>,
    /// Access rights that were asked for or used, decoded: `ReadData`, `DELETE` …
    pub access: Vec<&'static str>,
    /// The decoded status: `wrong password`, `user name does not exist` …
    pub reason: Option<String>,
    /// `Network`, `Interactive` …
    pub logon_type: Option<&'static str>,
    /// The program that asked.
    pub process: Option<String>,
    /// The log concerned: the cleared one of `log-cleared`, else the one that holds the event (`security`).
    pub channel: Option<String>,
    /// Which kind of noise the event is, the first that applies of [`NOISE`]; noise counts like all else unless a rule
    /// leaves it out.
    pub noise: Option<&'static str>,
}

/// The kinds of noise, in the order in which they apply: an event has the first that fits.
///
/// `not-a-file`: a handle on a process, key, token or pipe, or the pipes' share `ipc$`. `anonymous`: a session without an
/// account. `machine-account`: a name that ends in `$`. `system-account`: accounts of Windows itself. `loopback`: the
/// request came from the machine itself.
pub const NOISE: [&str; 5] = ["not-a-file", "anonymous", "machine-account", "system-account", "loopback"];

impl Audit {
    /// The user's name without its domain, which Windows writes in several ways for one account (`corp`,
    /// `corp.example`, nothing): what counting one account's logons over many event numbers needs.
    pub fn account(&self) -> Option<&str> {
        self.user.as_deref().map(|user| user.rsplit_once('\\').map_or(user, |(_, name)| name))
    }

    /// The file in full, `\share\folder\file` or `c:\folder\file`, without the name of a stream inside it: the key by
    /// which one file counts once. Absent where no file is told.
    pub fn object(&self) -> Option<String> {
        let file = self.file.as_deref()?;
        let file = file.split_once(':').map_or(file, |(file, _stream)| file);
        let mut object = String::new();
        if let Some(share) = &self.share {
            object.push_str(if share.ends_with(':') { "" } else { r"\" });
            object.push_str(share);
        }
        if let Some(folder) = self.folder.as_deref() {
            object.push_str(folder.trim_end_matches('\\'));
            object.push('\\');
        }
        object.push_str(file);
        Some(object)
    }

    /// Visits what `selector` reaches, where its first step is `Audit`.
    pub fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>)) {
        match &selector.steps[1..] {
            [] => visit(Value::Object),
            [Step::Name(name)] => self.part(name, visit),
            [Step::Name(name), Step::Index(index)] => {
                if let Some(text) = self.list(name).get(*index) {
                    visit(Value::Text(text));
                }
            }
            [Step::Name(name), Step::Any { brackets: true }] => {
                for text in self.list(name) {
                    visit(Value::Text(text));
                }
            }
            _ => {}
        }
    }

    fn part(&self, name: &str, visit: &mut dyn FnMut(Value<'_>)) {
        let text = match name {
            "Outcome" => self.outcome,
            "Action" => self.action,
            "User" => self.user.as_deref(),
            "Instance" => self.instance.as_deref(),
            "Source" => self.source.as_deref(),
            "Share" => self.share.as_deref(),
            "Folder" => self.folder.as_deref(),
            "File" => self.file.as_deref(),
            "Reason" => self.reason.as_deref(),
            "LogonType" => self.logon_type,
            "Process" => self.process.as_deref(),
            "Account" => self.account(),
            "Channel" => self.channel.as_deref(),
            "Noise" => self.noise,
            "Object" => {
                if let Some(object) = self.object() {
                    visit(Value::Text(&object));
                }
                None
            }
            "Path" | "Access" => {
                if !self.list(name).is_empty() {
                    visit(Value::Array { holds_null: false });
                }
                None
            }
            _ => None,
        };
        if let Some(text) = text {
            visit(Value::Text(text));
        }
    }

    fn list(&self, name: &str) -> Vec<&str> {
        match name {
            "Path" => self.path.iter().map(String::as_str).collect(),
            "Access" => self.access.clone(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(user: &str, [share, folder, file]: [&str; 3]) -> Audit {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Audit {
            user: part(user),
            share: part(share),
            folder: part(folder),
            file: part(file),
            noise: Some(NOISE[0]),
            ..Audit::default()
        }
    }

    #[test]
    fn objects_are_whole_paths() {
        let rows = [
            (["share", r"\secret", "a.doc"], Some(r"\share\secret\a.doc")),
            (["share", r"\", "a.doc"], Some(r"\share\a.doc")),
            (["c:", r"\data\x", "a.doc"], Some(r"c:\data\x\a.doc")),
            (["c:", r"\", "a.doc"], Some(r"c:\a.doc")),
            (["share", r"\secret", "a.doc:zone.identifier"], Some(r"\share\secret\a.doc")),
            (["share", r"\secret", "a.doc::$data"], Some(r"\share\secret\a.doc")),
            (["", "", "a.doc"], Some("a.doc")),
            (["share", r"\", ""], None),
            (["", "", ""], None),
        ];
        for (parts, expected) in rows {
            assert_eq!(audit("", parts).object().as_deref(), expected, "{parts:?}");
        }
    }

    #[test]
    fn accounts_are_users_without_their_domain() {
        let rows = [
            (r"corp\ann", Some("ann")),
            (r"corp.example\ann", Some("ann")),
            ("ann", Some("ann")),
            (r"microsoftaccount\ann@example.org", Some("ann@example.org")),
            ("s-1-5-21-1-2-3-500", Some("s-1-5-21-1-2-3-500")),
            ("", None),
        ];
        for (user, expected) in rows {
            assert_eq!(audit(user, [""; 3]).account(), expected, "{user}");
        }
    }

    #[test]
    fn selectors_reach_the_views() {
        let audit = audit(r"corp\ann", ["share", r"\secret", "a.doc"]);
        let rows = [
            ("$.Audit.Account", Some("ann")),
            ("$.Audit.Object", Some(r"\share\secret\a.doc")),
            ("$.Audit.Noise", Some("not-a-file")),
            ("$.Audit.Channel", None),
            ("$.Audit.object", None),
        ];
        for (selector, expected) in rows {
            let mut found = None;
            let selector = Selector::parse(selector).expect("a selector");
            audit.visit(&selector, &mut |value| {
                if let Value::Text(text) = value {
                    found = Some(text.to_owned());
                }
            });
            assert_eq!(found.as_deref(), expected, "{selector:?}");
        }
    }
}
