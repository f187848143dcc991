//! What a recorded JSON answer says of the next one.

use serde_json::Value;

use super::Learnt;

/// So many members are taken over: more say nothing more about whether it is the right answer.
const MOST_MEMBERS: usize = 20;

/// A recorded body that is larger is not looked into.
const LARGEST: usize = 5 << 20;

/// Adds kind and members of a recorded JSON body to what is known of an answer.
pub(super) fn from_body(text: &str, learnt: &mut Learnt) {
    if text.len() > LARGEST {
        return;
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => {
            learnt.kinds = vec!["object"];
            learnt.required = members
                .keys()
                .filter(|name| can_be_named(name))
                .take(MOST_MEMBERS)
                .cloned()
                .collect();
        }
        Ok(Value::Array(items)) => {
            learnt.kinds = vec!["array"];
            learnt.some_items = !items.is_empty();
            let first = items.first().and_then(Value::as_object);
            let common = first
                .into_iter()
                .flat_map(|first| first.keys())
                .filter(|name| {
                    can_be_named(name) && items.iter().all(|item| item.get(name).is_some())
                });
            learnt.each = common.take(MOST_MEMBERS).cloned().collect();
        }
        _ => {}
    }
}

/// In `required` and `each`, a dot leads into a member, and `|` parts alternatives.
pub(super) fn can_be_named(member: &str) -> bool {
    !member.is_empty() && !member.contains(['.', '|', '{', '}'])
}
