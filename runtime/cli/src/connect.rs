//! `tollgate connect CLIENT`: the entry by which a client of MCP has the bridge, in the form of its own configuration file. What else
//! stands in the file stays, but for the form of JSON: it is written anew, and of a key that stood there twice the last is kept.

mod place;

use std::path::PathBuf;

use miette::Diagnostic;
use serde_json::{Map, Value, json};

use self::place::Place;
use super::args::{ConnectArgs, McpClient};
use super::exit::{Exit, Failure};
use super::{config, output};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ConnectError {
    #[error("`{}` cannot be changed: {what}", path.display())]
    #[diagnostic(help("add the entry yourself: `tollgate connect` without --write prints it"))]
    NotWritten { path: PathBuf, what: String },
    #[error("there is no place for the client's configuration: {}", config::no_place("XDG_CONFIG_HOME"))]
    #[diagnostic(help("add the entry yourself: `tollgate connect` without --write prints it"))]
    NoPlace,
    #[error("the path of this program, `{}`, is not UTF-8 text, and no client's configuration can name it", path.display())]
    #[diagnostic(help("move the program to a folder with another name"))]
    NotText { path: PathBuf },
}

/// The command that a client starts. Clients start it with few of their own variables, and desktops have none of a shell's: so what says
/// here where home and ledger are goes with it.
#[derive(Debug)]
struct Bridge {
    program: String,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

/// Where a home is given, nothing is read of the folders that the others name.
fn variables() -> Vec<(&'static str, String)> {
    let own = config::own_variables();
    let has_home = own.iter().any(|(name, _)| *name == "TOLLGATE_HOME");
    own.into_iter().filter(|(name, _)| !has_home || name.starts_with("TOLLGATE_")).collect()
}

impl Bridge {
    /// An entry with its variables, if it has any, under the client's key for them.
    fn with_variables(&self, key: &str, mut entry: Value) -> Value {
        if let (Value::Object(entry), false) = (&mut entry, self.variables.is_empty()) {
            let variables = self.variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
            entry.insert(key.to_owned(), Value::Object(variables.collect()));
        }
        entry
    }
}

/// The name of the entry.
const NAME: &str = "tollgate";

pub(crate) fn connect(args: &ConnectArgs) -> Result<Exit, Failure> {
    let program = config::this_program().map_err(Failure::internal)?;
    let program = match program.to_str() {
        Some(program) => program.to_owned(),
        None => return Err(Failure::usage(ConnectError::NotText { path: program })),
    };
    let more = args.agent.iter().flat_map(|agent| ["--agent".to_owned(), agent.clone()]);
    let arguments = ["mcp".to_owned(), "--start".to_owned()].into_iter().chain(more).collect();
    let bridge = Bridge { program, arguments, variables: variables() };
    if !args.write {
        output::print(&args.client.text(&bridge)?)?;
        return Ok(Exit::Success);
    }
    let place = args.client.place().ok_or_else(|| Failure::usage(ConnectError::NoPlace))?;
    let failed = |what: String| Failure::usage(ConnectError::NotWritten { path: place.path().to_owned(), what });
    let held = place.hold().map_err(&failed)?;
    let after = args.client.with_entry(held.text(), &bridge).map_err(&failed)?;
    held.replace(&after).map_err(|error| failed(error.to_string()))?;
    output::print(&format!(
        "{} has the tools by {}\n",
        args.client.name(),
        output::one_line(&place.path().display().to_string())
    ))?;
    Ok(Exit::Success)
}

impl McpClient {
    const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Cursor => "Cursor",
            Self::Vscode => "Visual Studio Code",
            Self::Codex => "Codex",
            Self::GeminiCli => "Gemini CLI",
            Self::Opencode => "opencode",
            Self::Zed => "Zed",
        }
    }

    /// Its configuration file.
    fn place(self) -> Option<Place> {
        let home = |name: &str| Some(Place::Home(config::home()?.join(name)));
        let settings = |name: &str| Some(Place::Home(config::settings_folder()?.join(name)));
        match self {
            Self::ClaudeCode => Some(Place::Project(".mcp.json".into())),
            Self::ClaudeDesktop => settings("Claude/claude_desktop_config.json"),
            Self::Cursor => home(".cursor/mcp.json"),
            Self::Vscode => Some(Place::Project(".vscode/mcp.json".into())),
            Self::Codex => home(".codex/config.toml"),
            Self::GeminiCli => home(".gemini/settings.json"),
            Self::Opencode => settings("opencode/opencode.json"),
            Self::Zed => settings("zed/settings.json"),
        }
    }

    /// The key that its servers stand under, and the entry; none where the file is TOML.
    fn entry(self, bridge: &Bridge) -> Option<(&'static str, Value)> {
        let Bridge { program, arguments, .. } = bridge;
        let plain = json!({ "command": program, "args": arguments });
        match self {
            Self::ClaudeCode | Self::Vscode => {
                let key = if self == Self::Vscode { "servers" } else { "mcpServers" };
                let typed = json!({ "type": "stdio", "command": program, "args": arguments });
                Some((key, bridge.with_variables("env", typed)))
            }
            Self::ClaudeDesktop | Self::Cursor | Self::GeminiCli => {
                Some(("mcpServers", bridge.with_variables("env", plain)))
            }
            Self::Opencode => {
                let command: Vec<&String> = std::iter::once(program).chain(arguments).collect();
                let local = json!({ "type": "local", "command": command, "enabled": true });
                Some(("mcp", bridge.with_variables("environment", local)))
            }
            Self::Zed => Some(("context_servers", bridge.with_variables("env", plain))),
            Self::Codex => None,
        }
    }

    /// The entry as it stands in a file that has nothing else.
    fn text(self, bridge: &Bridge) -> Result<String, Failure> {
        self.with_entry("", bridge)
            .map_err(|what| Failure::usage(ConnectError::NotWritten { path: PathBuf::new(), what }))
    }

    /// A configuration with the entry in it, in the place of one of the same name. The error says why what is there cannot be kept.
    fn with_entry(self, before: &str, bridge: &Bridge) -> Result<String, String> {
        match self.entry(bridge) {
            Some((key, entry)) => with_json(before, key, entry),
            None => with_toml(before, bridge),
        }
    }
}

fn with_json(before: &str, key: &str, entry: Value) -> Result<String, String> {
    let read = if before.trim().is_empty() { Ok(json!({})) } else { serde_json::from_str::<Value>(before) };
    // Comments, which some clients take, would be lost.
    let mut whole = read.map_err(|error| format!("it is not plain JSON ({error})"))?;
    let object = whole.as_object_mut().ok_or("it is no JSON object")?;
    let servers = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
    let servers = servers.as_object_mut().ok_or_else(|| format!("`{key}` is no object"))?;
    servers.insert(NAME.to_owned(), entry);
    Ok(format!("{whole:#}\n"))
}

/// Appended as text, so that comments stay.
fn with_toml(before: &str, bridge: &Bridge) -> Result<String, String> {
    let known: toml::Table = before.parse().map_err(|error| format!("it is not TOML ({error})"))?;
    let servers = known.get("mcp_servers").map(|servers| servers.as_table().ok_or("`mcp_servers` is no table"));
    if servers.transpose()?.is_some_and(|servers| servers.contains_key(NAME)) {
        return Err(format!("it has `mcp_servers.{NAME}` already"));
    }
    let text = |text: &str| toml::Value::from(text).to_string();
    let arguments: Vec<String> = bridge.arguments.iter().map(|argument| text(argument)).collect();
    let variables: Vec<String> =
        bridge.variables.iter().map(|(name, value)| format!("{name} = {}", text(value))).collect();
    let mut after = before.to_owned();
    if !after.is_empty() {
        after.push_str(if after.ends_with('\n') { "\n" } else { "\n\n" });
    }
    let (program, arguments) = (text(&bridge.program), arguments.join(", "));
    after.push_str(&format!("[mcp_servers.{NAME}]\ncommand = {program}\nargs = [{arguments}]\n"));
    if !variables.is_empty() {
        after.push_str(&format!("env = {{ {} }}\n", variables.join(", ")));
    }
    // A table that is written as a value cannot be added to.
    after.parse::<toml::Table>().map_err(|error| format!("it cannot be added to ({error})"))?;
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(client: McpClient, before: &str) -> Result<String, String> {
        client.with_entry(before, &bridge(&[]))
    }

    fn bridge(variables: &[(&'static str, &str)]) -> Bridge {
        Bridge {
            program: "/bin/tollgate".to_owned(),
            arguments: vec!["mcp".to_owned(), "--start".to_owned()],
            variables: variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn where_home_and_ledger_are_goes_with_the_command() {
        let bridge = bridge(&[("TOLLGATE_HOME", "/h \"o\""), ("TOLLGATE_LEDGER", "/l")]);
        let variables = json!({ "TOLLGATE_HOME": "/h \"o\"", "TOLLGATE_LEDGER": "/l" });
        for (client, place) in [
            (McpClient::ClaudeCode, "/mcpServers/tollgate/env"),
            (McpClient::ClaudeDesktop, "/mcpServers/tollgate/env"),
            (McpClient::Cursor, "/mcpServers/tollgate/env"),
            (McpClient::GeminiCli, "/mcpServers/tollgate/env"),
            (McpClient::Vscode, "/servers/tollgate/env"),
            (McpClient::Opencode, "/mcp/tollgate/environment"),
            (McpClient::Zed, "/context_servers/tollgate/env"),
        ] {
            let text = client.with_entry("", &bridge).unwrap();
            let whole: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(whole.pointer(place), Some(&variables), "{text}");
        }
        let codex: toml::Table = McpClient::Codex.with_entry("", &bridge).unwrap().parse().unwrap();
        assert_eq!(json!(codex["mcp_servers"]["tollgate"]["env"]), variables);
    }

    #[test]
    fn each_client_has_its_own_form() {
        let json = |client: McpClient| serde_json::from_str::<Value>(&with(client, "").unwrap()).unwrap();
        let args = json!(["mcp", "--start"]);
        let plain = json!({ "tollgate": { "command": "/bin/tollgate", "args": args } });
        let typed = json!({ "tollgate": { "type": "stdio", "command": "/bin/tollgate", "args": args } });
        let local = json!({
            "tollgate": { "type": "local", "command": ["/bin/tollgate", "mcp", "--start"], "enabled": true },
        });
        assert_eq!(json(McpClient::ClaudeCode), json!({ "mcpServers": typed }));
        assert_eq!(json(McpClient::Vscode), json!({ "servers": typed }));
        for client in [McpClient::ClaudeDesktop, McpClient::Cursor, McpClient::GeminiCli] {
            assert_eq!(json(client), json!({ "mcpServers": plain }), "{client:?}");
        }
        assert_eq!(json(McpClient::Zed), json!({ "context_servers": plain }));
        assert_eq!(json(McpClient::Opencode), json!({ "mcp": local }));
        assert_eq!(
            with(McpClient::Codex, "").unwrap(),
            "[mcp_servers.tollgate]\ncommand = \"/bin/tollgate\"\nargs = [\"mcp\", \"--start\"]\n"
        );
    }

    #[test]
    fn what_is_there_stays() {
        let before = r#"{"z":1,"mcpServers":{"other":{"command":"x"},"tollgate":{"command":"old"}},"a":[2]}"#;
        let after: Value = serde_json::from_str(&with(McpClient::Cursor, before).unwrap()).unwrap();
        assert_eq!(
            (&after["z"], &after["a"], &after["mcpServers"]["other"]),
            (&json!(1), &json!([2]), &json!({"command":"x"}))
        );
        assert_eq!(after["mcpServers"]["tollgate"]["command"], "/bin/tollgate");
        // Twice is once.
        let once = with(McpClient::Cursor, before).unwrap();
        assert_eq!(with(McpClient::Cursor, &once).unwrap(), once);
        let toml = with(McpClient::Codex, "# mine\nmodel = \"m\"\n[mcp_servers.other]\ncommand = \"x\"").unwrap();
        assert!(
            toml.starts_with("# mine\nmodel = \"m\"\n[mcp_servers.other]\ncommand = \"x\"\n\n[mcp_servers.tollgate]\n")
        );
    }

    #[test]
    fn files_of_a_project_are_told_from_those_of_the_user() {
        assert_eq!(McpClient::ClaudeCode.place(), Some(Place::Project(".mcp.json".into())));
        assert_eq!(McpClient::Vscode.place(), Some(Place::Project(".vscode/mcp.json".into())));
        let others = [
            McpClient::ClaudeDesktop,
            McpClient::Cursor,
            McpClient::Codex,
            McpClient::GeminiCli,
            McpClient::Opencode,
            McpClient::Zed,
        ];
        assert!(!others.iter().any(|client| matches!(client.place(), Some(Place::Project(_)))));
    }

    #[test]
    fn what_cannot_be_kept_is_not_touched() {
        for before in ["// a comment\n{}", "[]", "1", r#"{"mcpServers":[]}"#, "{"] {
            assert!(with(McpClient::Cursor, before).is_err(), "{before}");
        }
        for before in ["a = ", "mcp_servers = 1", "mcp_servers = { a = {} }", "[mcp_servers.tollgate]\ncommand = \"x\""]
        {
            assert!(with(McpClient::Codex, before).is_err(), "{before}");
        }
    }
}
