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
import * as format from "./format.ts"

/** How many sources are named. */
const namedSources = 3

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/** Names the first of some paths. */
const some = (paths: ReadonlyArray<FilePath.FilePath>): string => {
  const more = paths.length - namedSources
  return paths.slice(0, namedSources).map(quoted).join(", ") + (more > 0 ? ` and ${format.count(more)} more` : "")
}

const ofCopy = ({ request, transfers }: Copy.Payload): string => {
  const { checksums, conflict, dereference, destination, durable, preserve, rules = [], sources, verify } = request
  // Of one source it is known what its copy is called; several go into the folder that was named.
  const to = transfers.length === 1 ? transfers[0].target : destination
  const filtered = rules.length === 0 ? "" : `, filtered by ${format.counted(rules.length, "rule")}`
  const flags = [
    `--conflict ${conflict}`,
    request.noTargetDirectory && "-T",
    preserve && `--preserve ${preserve.join(",")}`,
    durable && "--durable",
    verify && "--verify",
    dereference && "--dereference",
    checksums?.output && `--checksums ${quoted(checksums.output)} --algo ${checksums.algorithm}`
  ].filter((flag) => typeof flag === "string")
  return `${some(sources)} to ${quoted(to)}, with ${flags.join(" ")}${filtered}`
}

const ofDelete = ({ request: { oneFileSystem, paths, trash } }: Delete.Payload): string =>
  `${some(paths)}${trash ? ", to the trash" : oneFileSystem ? "" : ", with what is mounted there"}`

const howHashed = ({ algorithm, cache }: Hash.Payload): string =>
  algorithm === "sampled" ? "by samples" : `with ${algorithm}${cache === true ? " or from the cache" : ""}`

type Field = readonly [name: string, value: string]

/** Says what a job is to do whose payload fits its schema. */
const sayer = <P extends Task.Codec>(
  { name, payload }: { readonly name: string; readonly payload: P },
  verb: string,
  say: (payload: P["Type"]) => string
) => {
  const decode = Schema.decodeUnknownOption(Schema.toCodecJson(payload))
  return [name, (stored: Schema.Json) => Option.map(decode(stored), (payload): Field => [verb, say(payload)])] as const
}

const sayers = new Map([
  sayer(Copy.job, "copies", ofCopy),
  sayer(Move.job, "moves", ofCopy),
  sayer(Hash.job, "hashes", (payload) => `${some(payload.sources)}, ${howHashed(payload)}`),
  sayer(HashCheck.job, "checks", ({ file, folder }) => `what ${quoted(file)} names, in ${quoted(folder)}`),
  sayer(
    Media.job,
    "reads",
    ({ raw, sources }) => `metadata of ${some(sources)}${raw === true ? ", with all tags" : ""}`
  ),
  sayer(
    Verify.job,
    "compares",
    ({ a, b, ignore }) =>
      `${quoted(a)} (A) with ${quoted(b)} (B)${ignore.map((aspect) => ` --ignore ${aspect}`).join("")}`
  ),
  sayer(Delete.job, "deletes", ofDelete),
  sayer(
    Thumbnail.job,
    "pictures",
    ({ format, output, sources, variants }) =>
      `${some(sources)} in ${quoted(output)}, ${variants.join(", ")} as ${format}`
  )
])

/** What a job is to do, behind the name of its field; of a job that this program does not know, the payload. */
export const field = ({ name, payload }: Pick<JobRecord, "name" | "payload">): Field =>
  Option.flatMap(Option.fromUndefinedOr(sayers.get(name)), (say) => say(payload)).pipe(
    Option.getOrElse((): Field => ["payload", format.printable(JSON.stringify(payload))])
  )
