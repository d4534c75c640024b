# The check of single values in bridge.yaml: unknown keys, missing keys and invalid values. The rules come from the structs of
# the functions, as bridge_schema.json (`make schema`).

locals {
  _schema     = jsondecode(file("${path.module}/bridge_schema.json"))
  _entries    = local._schema.entries
  _time_zones = { for name in local._schema.time_zones : name => true }

  # Every value with the keys that lead to it, level by level, because HCL has no recursion. The schema has this many levels.
  _level_0 = [{ keys = [], value = local.bridge }]
  _level_1 = flatten([for node in local._level_0 : try([for key, value in node.value : { keys = concat(node.keys, [can(keys(node.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_2 = flatten([for node in local._level_1 : try([for key, value in node.value : { keys = concat(node.keys, [can(keys(node.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_3 = flatten([for node in local._level_2 : try([for key, value in node.value : { keys = concat(node.keys, [can(keys(node.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_4 = flatten([for node in local._level_3 : try([for key, value in node.value : { keys = concat(node.keys, [can(keys(node.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_5 = flatten([for node in local._level_4 : try([for key, value in node.value : { keys = concat(node.keys, [can(keys(node.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_6 = flatten([for node in local._level_5 : try([for key, value in node.value : { keys = concat(node.keys, [can(keys(node.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_7 = flatten([for node in local._level_6 : try([for key, value in node.value : { keys = concat(node.keys, [can(keys(node.value)) ? key : "[${key}]"]), value = value }], [])])

  # `place` is the path in the schema: the name of a job is `*`, and an item of a list is `[]`.
  _nodes = [
    for node in concat(local._level_0, local._level_1, local._level_2, local._level_3, local._level_4, local._level_5, local._level_6, local._level_7) : merge(node, {
      path  = replace(join(".", [for key in node.keys : can(regex("^[\\w.[\\]-]+$", key)) ? key : "'${replace(substr(key, 0, 63), "\n", "\\n")}'"]), ".[", "[")
      place = [for depth, key in node.keys : depth == 1 && can(local._entries["${node.keys[0]}/*"]) ? "*" : replace(key, "/^\\[[0-9]+\\]$/", "[]")]
      type  = lookup({ "\"" = "text", "{" = "a section", "[" = "a list", "t" = "true or false", "f" = "true or false", "n" = "empty" }, substr(jsonencode(node.value), 0, 1), "a number")
      text  = join("", compact([try(tostring(node.value), "")]))
    })
  ]
  _known = [
    for node in local._nodes : merge(node, {
      entry = try(local._entries[join("/", node.place)], local._entries[join("/", concat(slice(node.place, 0, length(node.place) - 1), ["*"]))])
    }) if can(local._entries[join("/", node.place)]) || can(local._entries[join("/", concat(slice(node.place, 0, length(node.place) - 1), ["*"]))])
  ]
  _sections = [for node in local._known : node if node.entry.kind == "section" && node.type == "a section"]

  # The format of each kind of value. `common/bridge_yaml/values.py` has the same formats.
  _uuid  = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
  _label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
  _host  = "${local._label}(\\.${local._label})*"
  _formats = {
    text = { types = ["text", "a number"], matches = "\\S", problem = "is not text, or is empty" }
    flag = { types = ["true or false"], matches = "", problem = "is not true or false" }
    BucketName = {
      types   = ["text", "a number"]
      matches = "^[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]$"
      problem = "is not the name of a bucket"
    }
    Count       = { types = ["a number"], matches = "^[0-9]{1,15}$", problem = "is not a whole number, or is negative" }
    Cron        = { types = ["text"], matches = "\\S", problem = "is not a schedule" }
    Day         = { types = ["text", "a number"], matches = "^\\s*[0-9]{4}[0-9W-]{3,6}(T00:00:00Z)?\\s*$", problem = "is not a date" }
    FilterValue = { types = ["text", "a number"], matches = "", problem = "is not a filter expression" }
    Host = {
      types   = ["text", "a number"]
      matches = "^\\s*${local._host}\\s*$"
      problem = "is not a host name"
    }
    ObjectPath = {
      types    = ["text", "a number"]
      matches  = "^(\\{(date|time|run)\\}|[^/{}[:cntrl:]])+(/(\\{(date|time|run)\\}|[^/{}[:cntrl:]])+)*$"
      excludes = "(^|/)\\.\\.?(/|$)|^\\.well-known/acme-challenge/"
      problem  = "is not the name of an object, or has an unknown placeholder"
    }
    Port = {
      types   = ["a number"]
      matches = "^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
      problem = "is not between 1 and 65535"
    }
    Position = {
      types   = ["text", "a number"]
      matches = "^\\s*(-?[0-9]{1,15}|[0-9]{4}[0-9W-]{3,6}([Tt ][0-9:.,]+)?([Zz]|[+-]00:?00)?)\\s*$"
      problem = "is not a date, a time without an offset, or a number"
    }
    SecretName = {
      types    = ["text"]
      matches  = "^(projects/[A-Za-z0-9:.-]+/secrets/)?[A-Za-z0-9_-]{1,255}$"
      excludes = "^(pgmt_.*|${local._uuid})$"
      problem  = "is not the name of a secret"
    }
    Share = {
      types   = ["text"]
      matches = "^\\s*(100(\\.0+)?|0?[0-9]{1,2}(\\.[0-9]+)?) *%\\s*$"
      problem = "is not a percentage"
    }
    Step = {
      types   = ["text", "a number"]
      matches = "^\\s*0*[1-9][0-9]{0,14}( *(?i:second|minute|hour|day|week|month|quarter|year|number)s?)?\\s*$"
      problem = "is not a duration or a number, or is zero"
    }
    Url = {
      types    = ["text"]
      matches  = "^\\s*((?i:https)://(${local._host}|\\[[0-9a-fA-F:.]+\\])|(?i:http)://((?i:localhost)|127(\\.[0-9]{1,3}){3}|\\[::1\\]))(:[0-9]{0,5})?(/*|(/[!-~]*)?/api(/(4\\.0|v1))?/*)\\s*$"
      excludes = "[?#]."
      problem  = "is not an https URL, or has a path, a query or a fragment"
    }
    Uuid = { types = ["text"], matches = "^${local._uuid}$", problem = "is not a UUID" }
  }
  # A kind that is not in _formats is an error of the plan, so the structs and this file cannot diverge unnoticed.
  _single_values = [for node in local._known : node if !contains(["section", "names", "list", "columns", "filter", "choice", "TimeZone"], node.entry.kind)]

  _value_faults = concat(
    flatten([
      for node in local._sections : [
        for key in setsubtract(keys(node.value), node.entry.keys) :
        "${trimprefix("${node.path}.${key}", ".")}: is not a known key; write only ${join(", ", node.entry.keys)}"
      ]
    ]),
    flatten([
      for node in local._sections : [
        for key in setsubtract(try(node.entry.required, []), keys(node.value)) :
        "${trimprefix("${node.path}.${key}", ".")}: is missing; write ${local._entries["${join("/", node.place)}/${key}"].advice}"
      ]
    ]),
    [
      for node in local._sections : "${node.path}: has ${coalesce(join(" and ", setintersection(keys(node.value), node.entry.selectors)), "none")} of ${join(", ", node.entry.selectors)}; write exactly one of them"
      if try(length(setintersection(keys(node.value), node.entry.selectors)) != 1, false)
    ],
    flatten([
      for node in local._sections : [
        for key in setintersection(keys(node.value), node.entry.keys) :
        "${node.path}.${key}: is only allowed with ${join(" or ", local._entries["${join("/", node.place)}/${key}"].allowed_with)}; write one of these, or remove ${key}"
        if try(length(setintersection(keys(node.value), local._entries["${join("/", node.place)}/${key}"].allowed_with)) == 0, false)
      ] if try(length(setintersection(keys(node.value), node.entry.selectors)) == 1, false)
    ]),
    [
      for node in local._known : "${coalesce(node.path, "bridge.yaml")}: is ${node.type}; write ${node.entry.advice}"
      if contains(["section", "names", "filter"], node.entry.kind) && node.type != "a section" && !contains(try(node.entry.choices, []), node.text)
      || node.entry.kind == "list" && node.type != "a list"
      || node.entry.kind == "columns" && !contains(["a section", "a list"], node.type)
    ],
    [
      for node in local._known : "${node.path}: is not a valid job name; write at most 63 letters, digits, - and _, starting with a letter or digit"
      if length(node.keys) == 2 && can(regex("^(pulls|relays|exports)$", node.keys[0])) && !can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", node.keys[1]))
    ],
    [
      for node in local._known : "${node.path}: is not an allowed value; write ${node.entry.advice}"
      if node.entry.kind == "choice" && !(node.type == "text" && contains(try(node.entry.choices, []), node.text))
    ],
    [
      for node in local._known : "${node.path}: is not the name of a time zone; write ${node.entry.advice}"
      if node.entry.kind == "TimeZone" && !(node.type == "text" && can(local._time_zones[node.text]))
    ],
    [
      for node in local._single_values : "${node.path}: ${node.type == "empty" ? "is empty" : local._formats[node.entry.kind].problem}; write ${node.entry.advice}"
      if !(
        contains(local._formats[node.entry.kind].types, node.type)
        && can(regex(local._formats[node.entry.kind].matches, node.text))
        && !can(regex(local._formats[node.entry.kind].excludes, node.text))
      )
    ],
    # base64 counts bytes: 1,200 characters of it are 900 bytes.
    [
      for node in local._single_values : "${node.path}: can be longer than 900 bytes; write a shorter name"
      if node.entry.kind == "ObjectPath"
      && length(base64encode(replace(replace(replace(node.text, "{date}", "2026-03-01"), "{time}", "061503"), "{run}", "20260301T061503-1f0c9a2b"))) > 1200
    ],
  )
}
