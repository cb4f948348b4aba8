use tollgate_guest::tool;

/// Greets someone.
#[tool]
fn greet(name: String) -> String {
    name
}

fn main() {}
