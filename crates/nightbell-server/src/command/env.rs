/*!
`nightbell env`: shell exports that point AWS clients at the server.
*/

use anyhow::Result;
use clap::Args;

use super::ServerPlace;

/// Print shell exports for AWS clients: eval "$(nightbell env)"
#[derive(Args)]
pub(crate) struct Env {
    #[command(flatten)]
    server: ServerPlace,
}

impl Env {
    /// Prints the exports.
    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    pub(crate) fn run(&self) -> Result<()> {
        let server = self.server.find()?;
        for (name, value) in [
            ("AWS_ENDPOINT_URL", &server.endpoint),
            ("AWS_ACCESS_KEY_ID", &server.key.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &server.key.secret_access_key),
            ("AWS_DEFAULT_REGION", &server.region),
            ("AWS_REGION", &server.region),
            // StartLiveTail goes to `stream-HOST` otherwise, a name that an installation need not have.
            ("AWS_DISABLE_HOST_PREFIX_INJECTION", &"true".to_owned()),
        ] {
            println!("export {name}={}", quoted(value));
        }
        Ok(())
    }
}

/// A shell word, whatever the text holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_secret_does_not_end_the_word() {
        assert_eq!(quoted("a'b; rm -rf /"), "'a'\\''b; rm -rf /'");
    }
}
