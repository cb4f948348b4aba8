//! `tollgate connect CLIENT`: the entry by which a client of MCP has the bridge, in the form of its own configuration file. What else
//! stands in the file stays, but for the form of JSON: it is written anew, and of a key that stood there twice the last is kept. A number
//! that JSON has no room for here must never be written as another one.

mod place;

use std::path::PathBuf;

use miette::Diagnostic;
use serde_json::{Map, Value, json};
use toml_edit::DocumentMut;

use self::place::Place;
use super::args::{ConnectArgs, McpClient};
use super::exit::{Exit, Failure};
use super::{config, output, serve};
use tollgate_config::{AgentName, NameError, Proof};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ConnectError {
    #[error("`{}` cannot be changed: {what}", path.display())]
    #[diagnostic(help("add the entry yourself: `tollgate connect` without --write prints it"))]
    NotWritten { path: PathBuf, what: String },
    #[error("there is no place for the client's configuration: {why}")]
    #[diagnostic(help("add the entry yourself: `tollgate connect` without --write prints it"))]
    NoPlace { why: String },
    #[error("the path of {what}, `{}`, is not UTF-8 text, and no client's configuration can name it", path.display())]
    #[diagnostic(help("move it to a folder with another name"))]
    NotText { what: &'static str, path: PathBuf },
    #[error("`{given}` is no name of an agent, so that the entry would never work")]
    #[diagnostic(help("give the name that the policy has under [agents]"))]
    NoAgent { given: String, source: NameError },
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
fn variables() -> Result<Vec<(&'static str, String)>, Failure> {
    let own = config::own_variables();
    let own = own.map_err(|(what, path)| Failure::usage(ConnectError::NotText { what, path }))?;
    let has_home = own.iter().any(|(name, _)| *name == "TOLLGATE_HOME");
    Ok(own.into_iter().filter(|(name, _)| !has_home || name.starts_with("TOLLGATE_")).collect())
}

/// A path as a client's configuration has it.
fn text_of(what: &'static str, path: PathBuf) -> Result<String, Failure> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| Failure::usage(ConnectError::NotText { what, path: path.into() }))
}

/// What the bridge is to be started with.
fn arguments(args: &ConnectArgs) -> Result<Vec<String>, Failure> {
    let mut arguments = vec!["mcp".to_owned(), "--start".to_owned()];
    if let Some(given) = &args.agent {
        let no_agent = |source| Failure::usage(ConnectError::NoAgent { given: output::one_line(given), source });
        let agent: AgentName = given.parse().map_err(no_agent)?;
        if args.token_file.is_none() {
            say_if_token_is_needed(&agent);
        }
        arguments.extend(["--agent".to_owned(), agent.to_string()]);
    }
    if let Some(path) = &args.token_file {
        // A client starts its servers in a folder of its own.
        let path = std::path::absolute(path).map_err(Failure::internal)?;
        arguments.extend(["--token-file".to_owned(), text_of("the file of the token", path)?]);
    }
    Ok(arguments)
}

fn say_if_token_is_needed(agent: &AgentName) {
    if let Some((path, Some(Proof::Token))) = serve::proof_of(agent) {
        let path = output::one_line(&path.display().to_string());
        output::eprint(&format!(
            "warning: the policy `{path}` proves the agent {agent} by a token, which this entry does not have: give the file that it \
             is in with --token-file\n"
        ));
    }
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
    let program = text_of("this program", program)?;
    let bridge = Bridge { program, arguments: arguments(args)?, variables: variables()? };
    if !args.write {
        output::print(&args.client.text(&bridge)?)?;
        return Ok(Exit::Success);
    }
    let place = args.client.place().map_err(|why| Failure::usage(ConnectError::NoPlace { why }))?;
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

    /// Its configuration file. The error says why it has no place.
    fn place(self) -> Result<Place, String> {
        let home = |name: &str| config::below_home(name).map(Place::Home).ok_or_else(config::no_home);
        let settings = |name: &str| {
            let place = config::in_settings(name).map(Place::Home);
            place.ok_or_else(|| config::no_place("XDG_CONFIG_HOME"))
        };
        match self {
            Self::ClaudeCode => Ok(Place::Project(".mcp.json".into())),
            Self::ClaudeDesktop => settings("Claude/claude_desktop_config.json"),
            Self::Cursor => home(".cursor/mcp.json"),
            Self::Vscode => Ok(Place::Project(".vscode/mcp.json".into())),
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
    if let Some((number, written)) = other_number(before) {
        return Err(format!("it has the number {number}, which would be written as {written}"));
    }
    let object = whole.as_object_mut().ok_or("it is no JSON object")?;
    let servers = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
    let servers = servers.as_object_mut().ok_or_else(|| format!("`{key}` is no object"))?;
    servers.insert(NAME.to_owned(), entry);
    Ok(format!("{whole:#}\n"))
}

/// A number in a JSON text that is read as another one, or in another form, and as what.
fn other_number(json: &str) -> Option<(String, String)> {
    let (mut in_string, mut is_escaped) = (false, false);
    let without_strings = |char: char| {
        let is_quote = char == '"' && !is_escaped;
        is_escaped = in_string && char == '\\' && !is_escaped;
        in_string ^= is_quote;
        if in_string { ' ' } else { char }
    };
    let outside: String = json.chars().map(without_strings).collect();
    let words = outside.split(|char: char| !char.is_ascii_digit() && !matches!(char, '-' | '+' | '.' | 'e' | 'E'));
    let mut numbers = words.filter(|word| word.starts_with(|char: char| char.is_ascii_digit() || char == '-'));
    numbers.find_map(|number| {
        let written = serde_json::from_str::<Value>(number).ok()?.to_string();
        (written != number).then(|| (number.to_owned(), written))
    })
}

/// Appended as text, so that comments stay; or else written into the entry that is there.
fn with_toml(before: &str, bridge: &Bridge) -> Result<String, String> {
    let known: toml::Table = before.parse().map_err(|error| format!("it is not TOML ({error})"))?;
    let servers = known.get("mcp_servers").map(|servers| servers.as_table().ok_or("`mcp_servers` is no table"));
    if servers.transpose()?.is_some_and(|servers| servers.contains_key(NAME)) {
        return with_toml_replaced(before, bridge);
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

/// With another command, arguments and variables in the entry that is there; what else is in it stays.
fn with_toml_replaced(before: &str, bridge: &Bridge) -> Result<String, String> {
    let mut document: DocumentMut = before.parse().map_err(|error| format!("it is not TOML ({error})"))?;
    let servers = document.get_mut("mcp_servers").and_then(toml_edit::Item::as_table_like_mut);
    let entry = servers.and_then(|servers| servers.get_mut(NAME)).and_then(toml_edit::Item::as_table_like_mut);
    let entry = entry.ok_or_else(|| format!("`mcp_servers.{NAME}` is no table"))?;
    entry.insert("command", toml_edit::value(&bridge.program));
    entry.insert("args", toml_edit::value(bridge.arguments.iter().collect::<toml_edit::Array>()));
    entry.remove("env");
    if !bridge.variables.is_empty() {
        let variables = bridge.variables.iter().map(|(name, value)| (*name, value.as_str()));
        entry.insert("env", toml_edit::value(variables.collect::<toml_edit::InlineTable>()));
    }
    Ok(document.to_string())
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
        assert_eq!(McpClient::ClaudeCode.place(), Ok(Place::Project(".mcp.json".into())));
        assert_eq!(McpClient::Vscode.place(), Ok(Place::Project(".vscode/mcp.json".into())));
        let others = [
            McpClient::ClaudeDesktop,
            McpClient::Cursor,
            McpClient::Codex,
            McpClient::GeminiCli,
            McpClient::Opencode,
            McpClient::Zed,
        ];
        assert!(!others.iter().any(|client| matches!(client.place(), Ok(Place::Project(_)))));
    }

    #[test]
    fn what_cannot_be_kept_is_not_touched() {
        for before in ["// a comment\n{}", "[]", "1", r#"{"mcpServers":[]}"#, "{"] {
            assert!(with(McpClient::Cursor, before).is_err(), "{before}");
        }
        for before in ["a = ", "mcp_servers = 1", "mcp_servers = { a = {} }", "[mcp_servers]\ntollgate = 1"] {
            assert!(with(McpClient::Codex, before).is_err(), "{before}");
        }
    }

    #[test]
    fn an_entry_of_toml_is_replaced_where_it_stands() {
        let before = "# mine\n[mcp_servers.tollgate] # this\ncommand = \"old\"\nargs = [\"x\"]\ntool_timeout_sec = 9\nenv = { A = \"b\" }\n\n[tui]\n";
        let after = with(McpClient::Codex, before).unwrap();
        let expected = "# mine\n[mcp_servers.tollgate] # this\ncommand = \"/bin/tollgate\"\nargs = [\"mcp\", \"--start\"]\ntool_timeout_sec = 9\n\n[tui]\n";
        assert_eq!(after, expected);
        assert_eq!(with(McpClient::Codex, &after).unwrap(), after);
        let bridge = bridge(&[("TOLLGATE_HOME", "/h \"o\"")]);
        let codex: toml::Table = McpClient::Codex.with_entry(before, &bridge).unwrap().parse().unwrap();
        assert_eq!(json!(codex["mcp_servers"]["tollgate"]["env"]), json!({ "TOLLGATE_HOME": "/h \"o\"" }));
        assert_eq!(json!(codex["mcp_servers"]["tollgate"]["tool_timeout_sec"]), json!(9));
    }

    #[test]
    fn no_number_becomes_another_one() {
        for number in ["12345678901234567890123", "1e2", "1.0E5", "-0", "0.10", "18446744073709551616"] {
            let refused = with(McpClient::Cursor, &format!(r#"{{"a":[1,{number}]}}"#)).unwrap_err();
            assert!(
                refused.starts_with(&format!("it has the number {number}, which would be written as ")),
                "{refused}"
            );
        }
        for kept in ["0", "-7", "18446744073709551615", "1.5", r#""1e2""#, r#""\"1e2""#, r#""\\",2"#, "true"] {
            with(McpClient::Cursor, &format!(r#"{{"a":[{kept}]}}"#)).unwrap();
        }
    }
}
