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
}

impl Audit {
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
