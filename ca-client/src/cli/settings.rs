//! How do environment and settings file fit between flags and defaults? Variables that are empty do not
//! count, and the values of the file become the defaults.

use std::path::Path;

use clap::ArgAction;
use clap::Command;
use clap::builder::Resettable;

use super::CliError;

/// `command` with the values of `path` in place of the defaults of its subcommand.
///
/// # Errors
/// When the file cannot be read, has an unknown key or a value that the flag would refuse.
pub(super) fn as_defaults(
    command: Command,
    subcommand: &str,
    path: &Path,
) -> Result<Command, CliError> {
    let flags = flags(&command, subcommand);
    let names: Vec<&str> = flags.iter().map(|flag| flag.long.as_str()).collect();
    let settings = proto::settings_file::read(path, &names)?;
    let mut command = command;
    for (key, values) in settings {
        let long = key.replace('_', "-");
        let refused = |reason: String| CliError::SettingsValue {
            path: path.to_owned(),
            reason,
        };
        let Some(flag) = flags.iter().find(|flag| flag.long == long) else {
            return Err(refused(format!("'{key}' is not a setting")));
        };
        if values.len() != 1 && !flag.is_list {
            return Err(refused(format!(
                "'{key}' takes one value, not {}",
                values.len()
            )));
        }
        for value in &values {
            check(&command, subcommand, flag, value).map_err(refused)?;
        }
        command = command.mut_subcommand(subcommand, |fetch| {
            fetch.mut_arg(&flag.id, |arg| arg.default_values(values))
        });
    }
    Ok(command)
}

/// `command` without those variables that are set to nothing: deployments write `CA_ROOT_CA=""` for "none".
pub(super) fn without_empty_variables(command: Command, subcommand: &str) -> Command {
    command.mut_subcommand(subcommand, |command| {
        command.mut_args(|arg| {
            let value = arg.get_env().and_then(std::env::var_os);
            match value.is_some_and(|value| value.is_empty()) {
                true => arg.env(Resettable::Reset),
                false => arg,
            }
        })
    })
}

/// What is needed of a flag here.
struct Flag {
    id: String,
    long: String,
    is_switch: bool,
    /// It may be given again and again.
    is_list: bool,
}

/// The flags that may stand in a settings file: all with a long name, but not the file itself.
fn flags(command: &Command, subcommand: &str) -> Vec<Flag> {
    let Some(subcommand) = command.find_subcommand(subcommand) else {
        return Vec::new();
    };
    subcommand
        .get_arguments()
        .filter_map(|arg| {
            let long = arg.get_long()?.to_owned();
            let id = arg.get_id().to_string();
            let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
            let is_list = matches!(arg.get_action(), ArgAction::Append);
            (long != "config" && long != "help").then_some(Flag {
                id,
                long,
                is_switch,
                is_list,
            })
        })
        .collect()
}

/// Lets clap judge the value as if it stood on the command line; a bad default would be a bug to it.
fn check(command: &Command, subcommand: &str, flag: &Flag, value: &str) -> Result<(), String> {
    if flag.is_switch {
        return match value {
            "true" | "false" => Ok(()),
            _ => Err(format!(
                "'{}' is '{value}', expected true or false",
                flag.long
            )),
        };
    }
    let long = &flag.long;
    let args = [
        "ca-client".to_owned(),
        subcommand.to_owned(),
        format!("--{long}={value}"),
    ];
    match command.clone().try_get_matches_from(args) {
        Ok(_) => Ok(()),
        Err(error) => Err(first_line(&error.to_string())),
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or(text);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
