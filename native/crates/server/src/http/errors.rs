//! An error on its way out; `rest` says what it looks like.

use super::answer::Answer;
use infermesh_rest::answer;
use infermesh_wire::Error;

pub fn answer(error: Error) -> Answer {
    answer::error(&error).map(Into::into)
}
