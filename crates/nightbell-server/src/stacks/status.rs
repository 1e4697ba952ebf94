/*!
How stacks and resources are, in CloudFormation's words ("Stack status codes").
*/

use serde::{Deserialize, Serialize};

/// How a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// It has a change set and nothing else.
    ReviewInProgress,
    /// It is being made.
    CreateInProgress,
    /// It is made.
    CreateComplete,
    /// It could not be made, and stays as it is.
    CreateFailed,
    /// It could not be made, and is taken back.
    RollbackInProgress,
    /// It could not be made, and was taken back.
    RollbackComplete,
    /// It could not be made, and could not be taken back.
    RollbackFailed,
    /// It is being changed.
    UpdateInProgress,
    /// It is changed; what is not wanted any more is deleted.
    UpdateCompleteCleanupInProgress,
    /// It is changed.
    UpdateComplete,
    /// It could not be changed, and stays as it is.
    UpdateFailed,
    /// It could not be changed, and becomes what it was.
    UpdateRollbackInProgress,
    /// It could not be changed, and is what it was.
    UpdateRollbackComplete,
    /// It could not be changed, and could not become what it was.
    UpdateRollbackFailed,
    /// It is being deleted.
    DeleteInProgress,
    /// It could not be deleted.
    DeleteFailed,
    /// It is deleted.
    DeleteComplete,
}

/// How a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ResourceStatus {
    /// It is being made.
    CreateInProgress,
    /// It is made.
    CreateComplete,
    /// It could not be made.
    CreateFailed,
    /// It is being changed.
    UpdateInProgress,
    /// It is changed.
    UpdateComplete,
    /// It could not be changed.
    UpdateFailed,
    /// It is being deleted.
    DeleteInProgress,
    /// It is deleted.
    DeleteComplete,
    /// It could not be deleted.
    DeleteFailed,
    /// It is no more of the stack, and stays.
    DeleteSkipped,
}

impl Status {
    /// The code.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReviewInProgress => "REVIEW_IN_PROGRESS",
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::CreateFailed => "CREATE_FAILED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Self::UpdateCompleteCleanupInProgress => "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::UpdateRollbackInProgress => "UPDATE_ROLLBACK_IN_PROGRESS",
            Self::UpdateRollbackComplete => "UPDATE_ROLLBACK_COMPLETE",
            Self::UpdateRollbackFailed => "UPDATE_ROLLBACK_FAILED",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::DeleteComplete => "DELETE_COMPLETE",
        }
    }

    /// Whether a stack that is so can be changed.
    pub(crate) fn may_be_updated(self) -> bool {
        matches!(
            self,
            Self::CreateComplete
                | Self::CreateFailed
                | Self::UpdateComplete
                | Self::UpdateFailed
                | Self::UpdateRollbackComplete
        )
    }
}

impl ResourceStatus {
    /// The code.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::CreateFailed => "CREATE_FAILED",
            Self::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
            Self::DeleteComplete => "DELETE_COMPLETE",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::DeleteSkipped => "DELETE_SKIPPED",
        }
    }
}
