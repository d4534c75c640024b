#!/bin/sh
# Says what in a project would refuse the first `make apply`, with gcloud alone, and changes nothing: PROJECT REGION.
# It exits with 1 if something would. Each line says what is wrong, and the command or the variable that answers it.
set -u
project=${1:?Which project? make preflight PROJECT=…}
region=${2:-}
refused=0

good() { printf 'ok      %s\n' "$1"; }
bad() { printf 'refused %s\n        %s\n' "$1" "$2"; refused=1; }
unknown() { printf 'unknown %s\n        %s\n' "$1" "$2"; }
read_only() { gcloud "$@" --project="$project" --quiet 2>/dev/null; }

if ! number=$(gcloud projects describe "$project" --format='value(projectNumber)' --quiet 2>/dev/null) || [ -z "$number" ]; then
    bad "the project $project cannot be read" "Log in with gcloud auth login, and check the name with gcloud projects list."
    exit 1
fi
good "the project $project exists"

case $(gcloud billing projects describe "$project" --format='value(billingEnabled)' --quiet 2>/dev/null) in
    True) good "billing is on" ;;
    False) bad "the project has no billing account" "gcloud billing projects link $project --billing-account=…" ;;
    *) unknown "billing cannot be read" "Needs billing.resourceAssociations.list; look at the project in the console." ;;
esac

enabled=$(read_only services list --enabled --format='value(config.name)')
for api in cloudresourcemanager serviceusage storage; do
    case "
$enabled
" in
        *"
$api.googleapis.com
"*) good "the API $api is on" ;;
        *) bad "the API $api is off, which Terraform itself needs" "gcloud services enable $api.googleapis.com --project=$project" ;;
    esac
done

# A constraint that is enforced, or that lists values, and what answers it.
policy() {
    said=$(read_only org-policies describe "$1" --effective --format='value(spec.rules)') || { unknown "the policy $1 cannot be read" "Needs roles/orgpolicy.policyViewer and the API orgpolicy.googleapis.com."; return; }
    case $said in
        '' | *"'allowAll': True"* | *"'enforce': False"*) good "the policy $1 refuses nothing" ;;
        *) bad "the policy $1 applies" "$2" ;;
    esac
}
policy iam.allowedPolicyMemberDomains "allUsers is refused: public_invoker = false."
policy run.managed.requireInvokerIam "With public_invoker = false, Cloud Run refuses a service without the invoker check: ask for an exception for this project."
policy gcp.resourceLocations "Check that $region is allowed. Automatic replication needs global: secret_replication = [\"$region\"]."
policy gcp.restrictNonCmekServices "A key of yours is required: kms_key and secret_replication."
policy iam.disableServiceAccountCreation "No service account can be created: service_accounts."
policy cloudbuild.allowedWorkerPools "Builds need a pool of yours: worker_pool."
policy cloudfunctions.allowedIngressSettings "Looker calls from outside: functions.webhook_receive.ingress, with ALLOW_INTERNAL_AND_GCLB behind a load balancer."

exit $refused
