/**
 * Says what a job is to do. Pure: its payload goes in, a line comes out.
 */
import type { JobRecord } from "@fanout/core/JobStore"
import type * as Task from "@fanout/core/Task"
import * as Copy from "@fanout/ops/Copy"
import * as Delete from "@fanout/ops/Delete"
import * as FilePath from "@fanout/ops/FilePath"
import * as Hash from "@fanout/ops/Hash"
import * as HashCheck from "@fanout/ops/HashCheck"
import * as Media from "@fanout/ops/Media"
import * as Move from "@fanout/ops/Move"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import * as Verify from "@fanout/ops/Verify"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ScheduledCommand from "../host/ScheduledCommand.ts"
import * as format from "./format.ts"
import * as scheduleText from "./scheduleText.ts"

/** How many sources are named. */
const namedSources = 3

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/** Names the first of some paths. */
const some = (paths: ReadonlyArray<FilePath.FilePath>): string => {
  const more = paths.length - namedSources
  return paths.slice(0, namedSources).map(quoted).join(", ") + (more > 0 ? ` and ${format.count(more)} more` : "")
}

/** Names what some paths lead to, without the folders that it is in. */
const names = (paths: ReadonlyArray<FilePath.FilePath>): string => {
  const [first = FilePath.empty, ...others] = paths
  const name = FilePath.display(FilePath.name(first) === "" ? first : FilePath.name(first))
  return others.length === 0 ? name : `${name} and ${format.count(others.length)} more`
}

const titleOfTransfer = (verb: string) => ({ request: { destination, sources }, transfers }: Copy.Payload): string =>
  `${verb} ${names(sources)} → ${FilePath.display(transfers.length === 1 ? transfers[0].target : destination)}`

const filtered = (rules: Delete.Request["rules"] = []): string =>
  rules.length === 0 ? "" : `, filtered by ${format.counted(rules.length, "rule")}`

const ofCopy = ({ request, transfers }: Copy.Payload): string => {
  const { checksums, conflict, dereference, destination, durable, preserve, rules, sources, verify } = request
  // Of one source it is known what its copy is called; several go into the folder that was named.
  const to = transfers.length === 1 ? transfers[0].target : destination
  const flags = [
    `--conflict ${conflict}`,
    request.noTargetDirectory && "-T",
    preserve && `--preserve ${preserve.join(",")}`,
    durable && "--durable",
    verify && "--verify",
    dereference && "--dereference",
    checksums?.output && `--checksums ${quoted(checksums.output)} --algo ${checksums.algorithm}`
  ].filter((flag) => typeof flag === "string")
  return `${some(sources)} to ${quoted(to)}, with ${flags.join(" ")}${filtered(rules)}`
}

const ofDelete = ({ request: { oneFileSystem, paths, rules, trash } }: Delete.Payload): string =>
  `${some(paths)}${trash ? ", to the trash" : oneFileSystem ? "" : ", with what is mounted there"}${filtered(rules)}`

const howHashed = ({ algorithm, cache }: Hash.Payload): string =>
  algorithm === "sampled" ? "by samples" : `with ${algorithm}${cache === true ? " or from the cache" : ""}`

type Field = readonly [name: string, value: string]

/** What is said of a job: in full, and in a few words. */
interface Said {
  readonly field: Field
  readonly title: string
}

/** Says what a job is to do whose payload fits its schema. */
const sayer = <P extends Task.Codec>(
  { name, payload }: { readonly name: string; readonly payload: P },
  verb: string,
  say: (payload: P["Type"]) => string,
  title: (payload: P["Type"]) => string
) => {
  const decode = Schema.decodeUnknownOption(Schema.toCodecJson(payload))
  const said = (payload: P["Type"]): Said => ({ field: [verb, say(payload)], title: title(payload) })
  return [name, (stored: Schema.Json) => Option.map(decode(stored), said)] as const
}

const sayers = new Map([
  sayer(Copy.job, "copies", ofCopy, titleOfTransfer("copy")),
  sayer(Move.job, "moves", ofCopy, titleOfTransfer("move")),
  sayer(
    Hash.job,
    "hashes",
    (payload) => `${some(payload.sources)}, ${howHashed(payload)}${filtered(payload.rules)}`,
    ({ sources }) => `hash ${names(sources)}`
  ),
  sayer(
    HashCheck.job,
    "checks",
    ({ file, folder }) => `what ${quoted(file)} names, in ${quoted(folder)}`,
    ({ file }) => `check ${names([file])}`
  ),
  sayer(
    Media.job,
    "reads",
    ({ raw, sources }) => `metadata of ${some(sources)}${raw === true ? ", with all tags" : ""}`,
    ({ sources }) => `metadata of ${names(sources)}`
  ),
  sayer(
    Verify.job,
    "compares",
    ({ a, b, ignore, rules }) =>
      `${quoted(a)} (A) with ${quoted(b)} (B)${ignore.map((aspect) => ` --ignore ${aspect}`).join("")}` +
      filtered(rules),
    ({ a, b }) => `verify ${names([a])} with ${FilePath.display(b)}`
  ),
  sayer(
    ScheduledCommand.job,
    "runs",
    ({ args, folder }) => `${scheduleText.command(args)}, in ${quoted(folder)}`,
    ({ args }) => `scheduled ${scheduleText.command(args)}`
  ),
  sayer(Delete.job, "deletes", ofDelete, ({ request: { paths } }) => `delete ${names(paths)}`),
  sayer(
    Thumbnail.job,
    "pictures",
    ({ format, output, sources, variants }) =>
      `${some(sources)} in ${quoted(output)}, ${variants.join(", ")} as ${format}`,
    ({ output, sources }) => `thumbnail ${names(sources)} → ${FilePath.display(output)}`
  )
])

type Work = Pick<JobRecord, "name" | "payload">

const saidOf = ({ name, payload }: Work): Option.Option<Said> =>
  Option.flatMap(Option.fromUndefinedOr(sayers.get(name)), (say) => say(payload))

/** What a job is to do, in a few words; of a job that this program does not know, its name. */
export const title = (work: Work): string =>
  Option.match(saidOf(work), { onNone: () => format.printable(work.name), onSome: ({ title }) => title })

/** What a job is to do, behind the name of its field; of a job that this program does not know, the payload. */
export const field = (work: Work): Field =>
  Option.match(saidOf(work), {
    onNone: (): Field => ["payload", format.printable(JSON.stringify(work.payload))],
    onSome: ({ field }) => field
  })
