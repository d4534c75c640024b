# A contender: curl | file | curl, which checks nothing, and polls until the import has ended.
set -eu

word() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

rows=$(mktemp)
trap 'rm -f "$rows"' EXIT

token=$(curl -sSf "$LOOKERSDK_BASE_URL/api/4.0/login" \
    --data "client_id=$LOOKERSDK_CLIENT_ID" --data "client_secret=$LOOKERSDK_CLIENT_SECRET" | word access_token)
curl -sSf "$LOOKERSDK_BASE_URL/api/4.0/queries/run/csv" -o "$rows" \
    -H "Authorization: token $token" -H "Content-Type: application/json" --data "$1"
import=$(curl -sSf -X POST "$PIGMENT_URL/api/v1/import/push/csv?configurationId=$PIGMENT_CONFIGURATION" \
    -H "Authorization: Bearer $PIGMENT_KEY" -H "Content-Type: text/csv" -T "$rows" | word importId)
while
    state=$(curl -sSf "$PIGMENT_URL/api/v1/import/$import/status?includedDetailedReport=true" \
        -H "Authorization: Bearer $PIGMENT_KEY")
    [ "$(printf %s "$state" | word importStatus)" = InProgress ]
do
    sleep 0.1
done
printf %s "$state"
