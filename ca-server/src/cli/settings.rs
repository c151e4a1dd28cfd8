//! How does a settings file get between the environment and the defaults?
//!
//! Each of its keys that neither the command line nor the environment set becomes a flag, and the
//! line is parsed again: one spelling of every rule.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgAction;
use clap::ArgMatches;
use clap::CommandFactory as _;
use clap::parser::ValueSource;
use proto::settings_file;
use proto::settings_file::SettingsFileError;

use super::Cli;

/// `args` with what the file adds.
pub(super) fn with_file(
    mut args: Vec<OsString>,
    matches: &ArgMatches,
) -> Result<Vec<OsString>, SettingsFileError> {
    let Some(("serve", serve)) = matches.subcommand() else {
        return Ok(args);
    };
    let Some(path) = serve.get_one::<PathBuf>("config") else {
        return Ok(args);
    };
    let command = Cli::command();
    let flags: Vec<&clap::Arg> = command
        .find_subcommand("serve")
        .map(|serve| {
            serve
                .get_arguments()
                .filter(|arg| arg.get_id() != "config")
                .collect()
        })
        .unwrap_or_default();
    let known: Vec<&str> = flags.iter().filter_map(|flag| flag.get_long()).collect();
    for (key, values) in settings_file::read(path, &known)? {
        let Some(flag) = flags.iter().find(|flag| flag.get_long() == Some(&key)) else {
            continue;
        };
        let source = serve.value_source(flag.get_id().as_str());
        if matches!(
            source,
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        ) {
            continue;
        }
        let is_switch = matches!(flag.get_action(), ArgAction::SetTrue);
        for value in values {
            match (is_switch, value.as_str()) {
                (true, "true") => args.push(format!("--{key}").into()),
                (true, "false") => {}
                _ => args.push(format!("--{key}={value}").into()),
            }
        }
    }
    Ok(args)
}
