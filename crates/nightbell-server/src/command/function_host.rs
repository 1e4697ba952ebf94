/*!
`nightbell function-host`: not for people. The server starts it inside new namespaces to run one function; see
`functions::confine`.
*/

use std::process::ExitCode;

use clap::Args;

use crate::functions::confine::host;

/// Run one function inside new namespaces.
#[derive(Args)]
pub(crate) struct FunctionHost {}

impl FunctionHost {
    /// Runs the function that standard input names, to its end.
    pub(crate) fn run(&self) -> ExitCode {
        host::run()
    }
}
