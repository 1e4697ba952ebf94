/*!
The names of the operations that the services have at AWS, whether they are served here or not: an operation that is missing here reads
otherwise than one that is nowhere. The list is written by `scripts/known-operations`.
*/

/// A line for each service: its name in a signature, and its operations.
const OPERATIONS: &str = include_str!("known/operations.txt");

/// Whether the service that signs by this name has the operation at AWS.
pub(super) fn is_known(signing: &str, operation: &str) -> bool {
    let mut lines = OPERATIONS.lines().map(str::split_ascii_whitespace);
    lines
        .find_map(|mut words| (words.next() == Some(signing)).then_some(words))
        .is_some_and(|mut names| names.any(|name| name == operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_service() {
        for (signing, operation, known) in [
            ("logs", "CreateExportTask", true),
            ("monitoring", "PutMetricStream", true),
            ("sns", "CreateSMSSandboxPhoneNumber", true),
            ("ssm", "SendCommand", true),
            ("ses", "SendTemplatedEmail", true),
            ("sns", "CreateExportTask", false),
            ("logs", "logs", false),
            ("logs", "createexporttask", false),
            ("logs", "", false),
            ("elsewhere", "CreateExportTask", false),
        ] {
            assert_eq!(is_known(signing, operation), known, "{signing} {operation}");
        }
    }
}
