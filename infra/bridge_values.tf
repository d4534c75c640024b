# Each value of bridge.yaml for itself: is its key known, is it there, is it of the right kind? What may stand where comes
# from the functions' own structs, as bridge_schema.json (`make schema`).

locals {
  _schema     = jsondecode(file("${path.module}/bridge_schema.json"))
  _entries    = local._schema.entries
  _time_zones = { for name in local._schema.time_zones : name => true }

  # Every value with its way through the file, level by level, since HCL knows no recursion. The schema is as deep as this.
  _level_0 = [{ steps = [], value = local.bridge }]
  _level_1 = flatten([for at in local._level_0 : try([for key, value in at.value : { steps = concat(at.steps, [can(keys(at.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_2 = flatten([for at in local._level_1 : try([for key, value in at.value : { steps = concat(at.steps, [can(keys(at.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_3 = flatten([for at in local._level_2 : try([for key, value in at.value : { steps = concat(at.steps, [can(keys(at.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_4 = flatten([for at in local._level_3 : try([for key, value in at.value : { steps = concat(at.steps, [can(keys(at.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_5 = flatten([for at in local._level_4 : try([for key, value in at.value : { steps = concat(at.steps, [can(keys(at.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_6 = flatten([for at in local._level_5 : try([for key, value in at.value : { steps = concat(at.steps, [can(keys(at.value)) ? key : "[${key}]"]), value = value }], [])])
  _level_7 = flatten([for at in local._level_6 : try([for key, value in at.value : { steps = concat(at.steps, [can(keys(at.value)) ? key : "[${key}]"]), value = value }], [])])

  # The same way in the schema's words: a job's name is `*`, an item of a list `[]`.
  _places = [
    for at in concat(local._level_0, local._level_1, local._level_2, local._level_3, local._level_4, local._level_5, local._level_6, local._level_7) : merge(at, {
      path  = replace(join(".", [for step in at.steps : can(regex("^[\\w.[\\]-]+$", step)) ? step : "'${replace(substr(step, 0, 63), "\n", "\\n")}'"]), ".[", "[")
      way   = [for depth, step in at.steps : depth == 1 && can(local._entries["${at.steps[0]}/*"]) ? "*" : replace(step, "/^\\[[0-9]+\\]$/", "[]")]
      shape = lookup({ "\"" = "text", "{" = "a section", "[" = "a list", "t" = "true or false", "f" = "true or false", "n" = "empty" }, substr(jsonencode(at.value), 0, 1), "a number")
      text  = join("", compact([try(tostring(at.value), "")]))
    })
  ]
  _known = [
    for at in local._places : merge(at, {
      entry = try(local._entries[join("/", at.way)], local._entries[join("/", concat(slice(at.way, 0, length(at.way) - 1), ["*"]))])
    }) if can(local._entries[join("/", at.way)]) || can(local._entries[join("/", concat(slice(at.way, 0, length(at.way) - 1), ["*"]))])
  ]
  _sections = [for at in local._known : at if at.entry.kind == "section" && at.shape == "a section"]

  # What each kind of value looks like; `common/bridge_yaml/values.py` reads them.
  _uuid  = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
  _label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
  _host  = "${local._label}(\\.${local._label})*"
  _kinds = {
    text = { shapes = ["text", "a number"], is = "\\S", wrong = "is not some text" }
    flag = { shapes = ["true or false"], is = "", wrong = "is not true or false" }
    Bucket = {
      shapes = ["text", "a number"]
      is     = "^[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]$"
      wrong  = "is not the name of a bucket"
    }
    Count       = { shapes = ["a number"], is = "^[0-9]{1,15}$", wrong = "is no whole number, or a negative one" }
    Cron        = { shapes = ["text"], is = "\\S", wrong = "is no schedule" }
    Day         = { shapes = ["text", "a number"], is = "^\\s*[0-9]{4}[0-9W-]{3,6}(T00:00:00Z)?\\s*$", wrong = "is no day" }
    FilterValue = { shapes = ["text", "a number"], is = "", wrong = "is no filter expression" }
    Host = {
      shapes = ["text", "a number"]
      is     = "^\\s*${local._host}\\s*$"
      wrong  = "is not the name of a host"
    }
    ObjectPath = {
      shapes = ["text", "a number"]
      is     = "^(\\{(date|time|run)\\}|[^/{}[:cntrl:]])+(/(\\{(date|time|run)\\}|[^/{}[:cntrl:]])+)*$"
      never  = "(^|/)\\.\\.?(/|$)"
      wrong  = "is not the name of a file, or holds a placeholder that is not known"
    }
    Port = {
      shapes = ["a number"]
      is     = "^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
      wrong  = "is not within 1-65535"
    }
    Position = {
      shapes = ["text", "a number"]
      is     = "^\\s*(-?[0-9]{1,15}|[0-9]{4}[0-9W-]{3,6}([Tt ][0-9:.,]+)?([Zz]|[+-]00:?00)?)\\s*$"
      wrong  = "is neither a date, nor a time without an offset, nor a number"
    }
    SecretName = {
      shapes = ["text"]
      is     = "^(projects/[A-Za-z0-9:.-]+/secrets/)?[A-Za-z0-9_-]{1,255}$"
      never  = "^(pgmt_.*|${local._uuid})$"
      wrong  = "is not the name of a secret"
    }
    Share = {
      shapes = ["text"]
      is     = "^\\s*(100(\\.0+)?|0?[0-9]{1,2}(\\.[0-9]+)?) *%\\s*$"
      wrong  = "is not a percentage"
    }
    Step = {
      shapes = ["text", "a number"]
      is     = "^\\s*0*[1-9][0-9]{0,14}( *(?i:second|minute|hour|day|week|month|quarter|year|number)s?)?\\s*$"
      wrong  = "is no step along a cursor"
    }
    Url = {
      shapes = ["text"]
      is     = "^\\s*((?i:https)://(${local._host}|\\[[0-9a-fA-F:.]+\\])|(?i:http)://((?i:localhost)|127(\\.[0-9]{1,3}){3}|\\[::1\\]))(:[0-9]{0,5})?(/[!-~]*)?\\s*$"
      never  = "[?#]."
      wrong  = "is not an https address, or more than one"
    }
    Uuid = { shapes = ["text"], is = "^${local._uuid}$", wrong = "is not a UUID" }
  }
  # What is none of these has to be among the kinds: one that the structs have and this file has not is no plan at all.
  _leaves = [for at in local._known : at if !contains(["section", "names", "list", "columns", "filter", "choice", "TimeZone"], at.entry.kind)]

  _value_faults = concat(
    flatten([
      for at in local._sections : [
        for key in setsubtract(keys(at.value), at.entry.keys) :
        "${trimprefix("${at.path}.${key}", ".")}: is not known here; write only ${join(", ", at.entry.keys)}"
      ]
    ]),
    flatten([
      for at in local._sections : [
        for key in setsubtract(try(at.entry.needs, []), keys(at.value)) :
        "${trimprefix("${at.path}.${key}", ".")}: is missing; write ${local._entries["${join("/", at.way)}/${key}"].instead}"
      ]
    ]),
    [
      for at in local._sections : "${at.path}: holds ${coalesce(join(" and ", setintersection(keys(at.value), at.entry.marks)), "none")} of ${join(", ", at.entry.marks)}; write exactly one of them"
      if try(length(setintersection(keys(at.value), at.entry.marks)) != 1, false)
    ],
    flatten([
      for at in local._sections : [
        for key in setintersection(keys(at.value), at.entry.keys) :
        "${at.path}.${key}: only goes with ${join(" or ", local._entries["${join("/", at.way)}/${key}"].beside)}; write nothing here"
        if try(length(setintersection(keys(at.value), local._entries["${join("/", at.way)}/${key}"].beside)) == 0, false)
      ] if try(length(setintersection(keys(at.value), at.entry.marks)) == 1, false)
    ]),
    [
      for at in local._known : "${coalesce(at.path, "bridge.yaml")}: is ${at.shape}; write ${at.entry.instead}"
      if contains(["section", "names", "filter"], at.entry.kind) && at.shape != "a section" && !contains(try(at.entry.choices, []), at.text)
    ],
    [
      for at in local._known : "${at.path}: is ${at.shape}; write ${at.entry.instead}"
      if at.entry.kind == "list" && at.shape != "a list"
      || at.entry.kind == "columns" && !contains(["a section", "a list"], at.shape)
    ],
    [
      for at in local._known : "${at.path}: is no name for a job; write letters, digits, - and _, at most 63 of them, a letter or a digit first"
      if length(at.steps) == 2 && can(regex("^(pulls|relays|exports)$", at.steps[0])) && !can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", at.steps[1]))
    ],
    [
      for at in local._known : "${at.path}: is not one of the words known here; write ${at.entry.instead}"
      if at.entry.kind == "choice" && !(at.shape == "text" && contains(try(at.entry.choices, []), at.text))
    ],
    [
      for at in local._known : "${at.path}: is not the name of a time zone; write ${at.entry.instead}"
      if at.entry.kind == "TimeZone" && !(at.shape == "text" && can(local._time_zones[at.text]))
    ],
    [
      for at in local._leaves : "${at.path}: ${at.shape == "empty" ? "is empty" : local._kinds[at.entry.kind].wrong}; write ${at.entry.instead}"
      if !(
        contains(local._kinds[at.entry.kind].shapes, at.shape)
        && can(regex(local._kinds[at.entry.kind].is, at.text))
        && !can(regex(local._kinds[at.entry.kind].never, at.text))
      )
    ],
  )
}
