/*!
The recipes themselves. Numbers of events and what they mean are those of Microsoft's advanced security audit reference;
`nightbell-winevt` tests each recipe on recorded events.
*/

use super::{By, Exclusion, Question, Recipe, RecipeFilter, Removes};

/// All recipes, in the order in which they are shown.
pub const RECIPES: &[Recipe] = &[
    DENIED_ACCESS,
    FAILED_LOGONS,
    MASS_DELETE,
    MASS_READ,
    PASSWORD_SPRAY,
    LOCKOUT,
    SUCCESS_AFTER_FAILURES,
    LOG_CLEARED,
    AUDIT_POLICY_CHANGED,
    SILENT_MACHINE,
    MISSING_EVENTS,
];

/// Where FSx for Windows File Server sends its events.
const FILES: &str = "/aws/fsx/windows";
/// Where the Security logs of a fleet go.
const LOGONS: &str = "windows";

const AT_LEAST: &str = "GreaterThanOrEqualToThreshold";
const NOT_BREACHING: &str = "notBreaching";

const MINUTE_S: u64 = 60;

const DENIED_ACCESS: Recipe = Recipe {
    name: "denied-access",
    summary: "denied access to files",
    group: FILES,
    // A file or folder is told, or it is a handle on something else, which the exclusion leaves out by name.
    filters: &[RecipeFilter {
        suffix: "",
        metric: "DeniedAccess",
        condition: r#"$.Audit.Outcome = "failure" && ($.Audit.Folder = "*" || $.Audit.Action = "handle")"#,
        value: "1",
    }],
    question: Question::Sum,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 5,
    within_s: MINUTE_S,
    by: &[USER, FOLDER, SHARE, INSTANCE],
    exclusions: &[NOT_A_FILE, MACHINE_ACCOUNT, ANONYMOUS.off(), SYSTEM_ACCOUNT, LOOPBACK],
    in_folder: true,
};

const FAILED_LOGONS: Recipe = Recipe {
    name: "failed-logons",
    summary: "failed logons",
    group: LOGONS,
    filters: &[failed_logons("FailedLogons", "1")],
    question: Question::Sum,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 5,
    within_s: 5 * MINUTE_S,
    by: &[INSTANCE, ACCOUNT, SOURCE],
    exclusions: &[
        MACHINE_ACCOUNT,
        ANONYMOUS,
        NTLM_VALIDATION,
        SERVICE_TICKETS,
        SYSTEM_ACCOUNT.off(),
        LOOPBACK,
    ],
    in_folder: false,
};

const MASS_DELETE: Recipe = Recipe {
    name: "mass-delete",
    summary: "many different files deleted or renamed",
    group: FILES,
    // 4663 and 4659 name the file, 4660 does not and is told beside one of them.
    filters: &[RecipeFilter {
        suffix: "",
        metric: "FilesDeleted",
        condition: r#"$.Audit.Action = "delete" && $.Audit.Outcome = "success" && $.Audit.File = "*""#,
        value: "DISTINCT($.Audit.Object)",
    }],
    question: Question::CountDistinct,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 100,
    within_s: MINUTE_S,
    by: &[USER, FOLDER, SHARE, INSTANCE],
    exclusions: &[MACHINE_ACCOUNT, SYSTEM_ACCOUNT, RECYCLE_BIN, TEMPORARY_FILES],
    in_folder: true,
};

const MASS_READ: Recipe = Recipe {
    name: "mass-read",
    summary: "many different files read",
    group: FILES,
    filters: &[RecipeFilter {
        suffix: "",
        metric: "FilesRead",
        condition: r#"$.Audit.Action = "read" && $.Audit.Outcome = "success" && $.Audit.Access[*] = "ReadData" && $.Audit.File = "*""#,
        value: "DISTINCT($.Audit.Object)",
    }],
    question: Question::CountDistinct,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 500,
    within_s: 5 * MINUTE_S,
    by: &[USER, FOLDER, SHARE, INSTANCE],
    exclusions: &[MACHINE_ACCOUNT, SYSTEM_ACCOUNT, NO_EXTENSION, TEMPORARY_FILES],
    in_folder: true,
};

const PASSWORD_SPRAY: Recipe = Recipe {
    name: "password-spray",
    summary: "failed logons of many accounts",
    group: LOGONS,
    filters: &[failed_logons("AccountsFailed", "DISTINCT($.Audit.Account)")],
    question: Question::CountDistinct,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 10,
    within_s: 10 * MINUTE_S,
    by: &[SOURCE, INSTANCE],
    exclusions: &[MACHINE_ACCOUNT, ANONYMOUS, LOOPBACK.on(), SERVICE_TICKETS],
    in_folder: false,
};

const LOCKOUT: Recipe = Recipe {
    name: "lockout",
    summary: "accounts locked out",
    group: LOGONS,
    filters: &[RecipeFilter {
        suffix: "",
        metric: "Lockouts",
        condition: r#"$.Audit.Action = "lockout""#,
        value: "1",
    }],
    question: Question::Sum,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 1,
    within_s: 5 * MINUTE_S,
    by: &[ACCOUNT, SOURCE, INSTANCE],
    exclusions: &[MACHINE_ACCOUNT],
    in_folder: false,
};

const SUCCESS_AFTER_FAILURES: Recipe = Recipe {
    name: "success-after-failures",
    summary: "a logon after failed ones",
    group: LOGONS,
    filters: &[
        failed_logons("FailuresBefore", "1"),
        RecipeFilter {
            suffix: "successes",
            metric: "SuccessesAfter",
            condition: r#"$.Audit.Action = "logon" && $.Audit.Outcome = "success""#,
            value: "1",
        },
    ],
    question: Question::SumAfter,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 5,
    within_s: 10 * MINUTE_S,
    by: &[ACCOUNT, SOURCE, ACCOUNT_AND_SOURCE],
    exclusions: &[MACHINE_ACCOUNT, ANONYMOUS, SYSTEM_ACCOUNT, NTLM_VALIDATION, SERVICE_TICKETS, LOOPBACK],
    in_folder: false,
};

const LOG_CLEARED: Recipe = Recipe {
    name: "log-cleared",
    summary: "event logs cleared",
    group: LOGONS,
    filters: &[RecipeFilter {
        suffix: "",
        metric: "LogsCleared",
        condition: r#"$.Audit.Action = "log-cleared""#,
        value: "1",
    }],
    question: Question::Sum,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 1,
    within_s: 5 * MINUTE_S,
    by: &[INSTANCE, USER, CHANNEL],
    exclusions: &[OTHER_LOGS],
    in_folder: false,
};

const AUDIT_POLICY_CHANGED: Recipe = Recipe {
    name: "audit-policy-changed",
    summary: "changes of what is audited",
    group: LOGONS,
    // 4713 and 4739 are policies of Kerberos and of the domain, not of auditing.
    filters: &[RecipeFilter {
        suffix: "",
        metric: "AuditPolicyChanges",
        condition: r#"$.Audit.Action = "policy" && $.EventID != 4713 && $.EventID != 4739"#,
        value: "1",
    }],
    question: Question::Sum,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 1,
    within_s: 5 * MINUTE_S,
    by: &[INSTANCE, USER],
    exclusions: &[OBJECT_AUDITING, START_UP, AUDITING_ADDED, MACHINE_ACCOUNT.off(), SYSTEM_ACCOUNT.off()],
    in_folder: false,
};

const SILENT_MACHINE: Recipe = Recipe {
    name: "silent-machine",
    summary: "machines that send nothing any more",
    group: LOGONS,
    filters: &[RecipeFilter { suffix: "", metric: "Events", condition: "", value: "1" }],
    question: Question::Sum,
    comparison: "LessThanThreshold",
    missing_data: "breaching",
    threshold: 1,
    within_s: 15 * MINUTE_S,
    by: &[COMPUTER, STREAM],
    exclusions: &[],
    in_folder: false,
};

const MISSING_EVENTS: Recipe = Recipe {
    name: "missing-events",
    summary: "gaps in the record numbers of event logs",
    group: LOGONS,
    filters: &[],
    question: Question::MissingRecords,
    comparison: AT_LEAST,
    missing_data: NOT_BREACHING,
    threshold: 1,
    within_s: 5 * MINUTE_S,
    by: &[RECORDS_LOG, RECORDS_MACHINE],
    exclusions: &[],
    in_folder: false,
};

const fn failed_logons(metric: &'static str, value: &'static str) -> RecipeFilter {
    let condition = r#"$.Audit.Action = "logon" && $.Audit.Outcome = "failure""#;
    RecipeFilter { suffix: "", metric, condition, value }
}

const USER: By = By { name: "user", dimensions: &[("User", "$.Audit.User")] };
/// Events of one logon name its account's domain in several ways, or not at all.
const ACCOUNT: By = By { name: "user", dimensions: &[("Account", "$.Audit.Account")] };
const SOURCE: By = By { name: "source", dimensions: &[("Source", "$.Audit.Source")] };
const ACCOUNT_AND_SOURCE: By = By {
    name: "user-and-source",
    dimensions: &[("Account", "$.Audit.Account"), ("Source", "$.Audit.Source")],
};
const INSTANCE: By = By { name: "instance", dimensions: &[("Instance", "$.Audit.Instance")] };
const SHARE: By = By { name: "share", dimensions: &[("Share", "$.Audit.Share")] };
const FOLDER: By =
    By { name: "folder", dimensions: &[("Share", "$.Audit.Share"), ("Folder", "$.Audit.Folder")] };
const CHANNEL: By = By { name: "channel", dimensions: &[("Channel", "$.Audit.Channel")] };
/// Every event of a machine counts, not only those that are audit events.
const COMPUTER: By = By { name: "instance", dimensions: &[("Instance", "$.Computer")] };
const STREAM: By = By { name: "stream", dimensions: &[("Stream", "@logStream")] };
/// Dimensions of the program's own metric.
const RECORDS_LOG: By = By { name: "channel", dimensions: &[("Instance", ""), ("Channel", "")] };
const RECORDS_MACHINE: By = By { name: "instance", dimensions: &[("Instance", "")] };

const fn noise(name: &'static str, summary: &'static str, on: bool) -> Exclusion {
    Exclusion { name, summary, removes: Removes::Noise, on }
}

const NOT_A_FILE: Exclusion = noise("not-a-file", "handles on processes, keys, tokens and pipes", true);
const MACHINE_ACCOUNT: Exclusion =
    noise("machine-account", "accounts of machines and managed services (name$)", true);
const ANONYMOUS: Exclusion = noise("anonymous", "sessions without an account (ANONYMOUS LOGON)", true);
const SYSTEM_ACCOUNT: Exclusion =
    noise("system-account", "accounts of Windows itself (SYSTEM, services, the window manager)", true);
const LOOPBACK: Exclusion = noise("loopback", "requests from the machine itself (127.0.0.1, ::1)", false);

const NTLM_VALIDATION: Exclusion = Exclusion {
    name: "ntlm-validation",
    summary: "4776, which tells again what 4624 and 4625 tell of the same logon",
    removes: Removes::Where { is: "$.EventID = 4776", is_not: "$.EventID != 4776" },
    on: true,
};
const SERVICE_TICKETS: Exclusion = Exclusion {
    name: "service-tickets",
    summary: "4769 and 4773: tickets for services, asked for without a password",
    removes: Removes::Where {
        is: "($.EventID = 4769 || $.EventID = 4773)",
        is_not: "$.EventID != 4769 && $.EventID != 4773",
    },
    on: true,
};
const RECYCLE_BIN: Exclusion = Exclusion {
    name: "recycle-bin",
    summary: "files that were in the recycle bin already",
    removes: Removes::Where {
        is: r#"$.Audit.Object = "*\\$recycle.bin\\*""#,
        is_not: r#"$.Audit.Object != "*\\$recycle.bin\\*""#,
    },
    on: true,
};
const TEMPORARY_FILES: Exclusion = Exclusion {
    name: "temporary-files",
    summary: "names that begin with ~ or end in .tmp, which programs make and remove when they save",
    removes: Removes::Where {
        is: r#"($.Audit.File = "~*" || $.Audit.File = "*.tmp")"#,
        is_not: r#"$.Audit.File != "~*" && $.Audit.File != "*.tmp""#,
    },
    on: true,
};
const NO_EXTENSION: Exclusion = Exclusion {
    name: "no-extension",
    summary: "names without a dot: folders, whose listing is told as reading",
    removes: Removes::Where { is: r#"$.Audit.File != "*.*""#, is_not: r#"$.Audit.File = "*.*""# },
    on: true,
};
const OTHER_LOGS: Exclusion = Exclusion {
    name: "other-logs",
    summary: "logs other than Security, System and Application",
    removes: Removes::Where {
        is: r#"$.Audit.Channel != "security" && $.Audit.Channel != "system" && $.Audit.Channel != "application""#,
        is_not: r#"($.Audit.Channel NOT EXISTS || $.Audit.Channel = "security" || $.Audit.Channel = "system" || $.Audit.Channel = "application")"#,
    },
    on: false,
};
const OBJECT_AUDITING: Exclusion = Exclusion {
    name: "object-auditing",
    summary: "4907: what is audited of one object, which installers set for each of their files",
    removes: Removes::Where { is: "$.EventID = 4907", is_not: "$.EventID != 4907" },
    on: true,
};
const START_UP: Exclusion = Exclusion {
    name: "start-up",
    summary: "4902, 4904 and 4905, which Windows writes at each start",
    removes: Removes::Where {
        is: "($.EventID = 4902 || $.EventID = 4904 || $.EventID = 4905)",
        is_not: "$.EventID != 4902 && $.EventID != 4904 && $.EventID != 4905",
    },
    on: true,
};
const AUDITING_ADDED: Exclusion = Exclusion {
    name: "auditing-added",
    summary: "changes that only add auditing",
    removes: Removes::Where {
        is: r#"$.Audit.Reason = "*added*" && $.Audit.Reason != "*removed*""#,
        is_not: r#"($.Audit.Reason NOT EXISTS || $.Audit.Reason != "*added*" || $.Audit.Reason = "*removed*")"#,
    },
    on: false,
};

impl Exclusion {
    /// As it is, but left out only when asked.
    const fn off(self) -> Self {
        Self { on: false, ..self }
    }

    /// As it is, but left out unless included.
    const fn on(self) -> Self {
        Self { on: true, ..self }
    }
}
