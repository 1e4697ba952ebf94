/*!
The operations of SSM: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::ssm::{self, list, tagging};

/// Serves a call of SSM.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "PutParameter" => asked.by(ssm::put_parameter).await,
        "GetParameter" => asked.by(ssm::get_parameter).await,
        "GetParameters" => asked.by(ssm::get_parameters).await,
        "GetParametersByPath" => asked.by(list::get_parameters_by_path).await,
        "GetParameterHistory" => asked.by(list::get_parameter_history).await,
        "DescribeParameters" => asked.by(list::describe_parameters).await,
        "DeleteParameter" => asked.by(ssm::delete_parameter).await,
        "DeleteParameters" => asked.by(ssm::delete_parameters).await,
        "LabelParameterVersion" => asked.by(ssm::label_parameter_version).await,
        "UnlabelParameterVersion" => asked.by(ssm::unlabel_parameter_version).await,
        "AddTagsToResource" => asked.by(tagging::add_tags_to_resource).await,
        "RemoveTagsFromResource" => asked.by(tagging::remove_tags_from_resource).await,
        "ListTagsForResource" => asked.by(tagging::list_tags_for_resource).await,
        _ => asked.unknown(),
    }
}
