//! The schemas that are checked in are the ones the types give. To write them anew:
//! `UPDATE_EXPECT=1 cargo test -p tollgate-config --test schemas`.

use expect_test::expect_file;
use serde_json::Value;
use tollgate_config::{manifest_schema, policy_schema};

#[test]
fn the_schema_of_the_manifest_is_checked_in() {
    expect_file!["../schema/tool.schema.json"].assert_eq(&pretty(&manifest_schema()));
}

#[test]
fn the_schema_of_the_policy_is_checked_in() {
    expect_file!["../schema/tollgate.schema.json"].assert_eq(&pretty(&policy_schema()));
}

fn pretty(schema: &Value) -> String {
    format!("{schema:#}\n")
}
