/*!
Which event number means what: the table that `$.Audit.Action`, `User` and `Reason` are read by.

Numbers after Microsoft's advanced security audit reference. An event number means something only together with its
provider: 1102 of an ordinary program is no cleared log.
*/

/// Where an event's action comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The event number says it.
    Is(&'static str),
    /// As [`Action::Is`] on files; `handle` on processes, registry keys and whatever else is no file.
    OnFile(&'static str),
    /// The rights that were used say it (4663); `handle` on what is no file.
    ByRights,
}

/// Whose name is `$.Audit.User`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The account that acted: Subject…
    Subject,
    /// The account that was tried or concerned: Target…
    Target,
    /// Target without domain: in a lockout the field of the domain holds the calling computer.
    TargetName,
    /// AccountName and AccountDomain (session events).
    Account,
}

/// What `$.Audit.Reason` is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Nothing,
    /// SubStatus, else Status, else FailureReason.
    Logon,
    /// Status as a Kerberos result.
    Kerberos,
    /// The first refused right of AccessReason.
    Access,
    /// AuditPolicyChanges.
    Policy,
}

/// What an event number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) action: Action,
    pub(super) who: Who,
    pub(super) why: Why,
}

/// The meaning of a `Microsoft-Windows-Security-Auditing` event number.
pub(super) fn security(id: u32) -> Option<Meaning> {
    let (action, who, why) = match id {
        4624 | 4625 | 4776 | 4777 => (Action::Is("logon"), Who::Target, Why::Logon),
        4768 | 4769 | 4771 | 4772 | 4773 => (Action::Is("logon"), Who::Target, Why::Kerberos),
        4634 | 4647 => (Action::Is("logoff"), Who::Target, Why::Nothing),
        4648 => (Action::Is("explicit-logon"), Who::Subject, Why::Nothing),
        4778 | 4779 => (Action::Is("session"), Who::Account, Why::Nothing),
        4672..=4674 => (Action::Is("privilege"), Who::Subject, Why::Nothing),
        4964 => (Action::Is("privilege"), Who::Target, Why::Nothing),
        4740 => (Action::Is("lockout"), Who::TargetName, Why::Nothing),
        4767 => (Action::Is("unlock"), Who::Target, Why::Nothing),
        4656 => (Action::OnFile("open"), Who::Subject, Why::Access),
        4661 | 4662 | 4690 => (Action::Is("handle"), Who::Subject, Why::Nothing),
        4658 => (Action::Is("close"), Who::Subject, Why::Nothing),
        4659 => (Action::OnFile("delete"), Who::Subject, Why::Nothing),
        4660 => (Action::Is("delete"), Who::Subject, Why::Nothing),
        4663 => (Action::ByRights, Who::Subject, Why::Nothing),
        4664 => (Action::Is("link"), Who::Subject, Why::Nothing),
        4670 => (Action::OnFile("permission"), Who::Subject, Why::Nothing),
        5140 | 5168 => (Action::Is("share"), Who::Subject, Why::Nothing),
        5142..=5144 => (Action::Is("share-changed"), Who::Subject, Why::Nothing),
        5145 => (Action::Is("open"), Who::Subject, Why::Access),
        4719 => (Action::Is("policy"), Who::Subject, Why::Policy),
        4713 | 4715 | 4739 | 4817 | 4902 | 4904..=4908 | 4912 => {
            (Action::Is("policy"), Who::Subject, Why::Nothing)
        }
        4720 | 4722..=4726 | 4738 | 4741..=4743 | 4781 => (Action::Is("account"), Who::Subject, Why::Nothing),
        4727..=4735 | 4737 | 4744..=4762 | 4764 => (Action::Is("group"), Who::Subject, Why::Nothing),
        _ => return None,
    };
    Some(Meaning { action, who, why })
}

/// The meaning of a `Microsoft-Windows-Eventlog` event number.
pub(super) fn event_log(id: u32) -> Option<Meaning> {
    let action = match id {
        104 | 1102 => "log-cleared",
        1100 => "log-stopped",
        1104 => "log-full",
        1105 => "log-archived",
        _ => return None,
    };
    Some(Meaning { action: Action::Is(action), who: Who::Subject, why: Why::Nothing })
}
