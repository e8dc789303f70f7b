/**
 * Says what a job is to do. Pure: its payload goes in, a line comes out.
 */
import type { JobRecord } from "@fanout/core/JobStore"
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

const decodeHash = Schema.decodeUnknownOption(Hash.Payload)
const decodeCheck = Schema.decodeUnknownOption(Schema.toCodecJson(HashCheck.Payload))
const decodeMedia = Schema.decodeUnknownOption(Media.Payload)
const decodeVerify = Schema.decodeUnknownOption(Verify.Payload)
const decodeDelete = Schema.decodeUnknownOption(Delete.Payload)
const decodeThumbnail = Schema.decodeUnknownOption(Thumbnail.Payload)
const decodeCopy = Schema.decodeUnknownOption(Copy.Payload)

/** How many sources are named. */
const namedSources = 3

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/** Names the first of some paths. */
const some = (paths: ReadonlyArray<FilePath.FilePath>): string => {
  const more = paths.length - namedSources
  return paths.slice(0, namedSources).map(quoted).join(", ") + (more > 0 ? ` and ${format.count(more)} more` : "")
}

const ofCopy = ({ request, transfers }: Copy.Payload): string => {
  const {
    checksums,
    conflict,
    dereference,
    destination,
    durable,
    noTargetDirectory,
    preserve,
    rules = [],
    sources,
    verify
  } = request
  // Of one source it is known what its copy is called; several go into the folder that was named.
  const to = transfers.length === 1 ? transfers[0].target : destination
  const filtered = rules.length === 0 ? "" : `, filtered by ${format.counted(rules.length, "rule")}`
  const flags = [
    `--conflict ${conflict}`,
    ...noTargetDirectory ? ["-T"] : [],
    ...preserve === undefined ? [] : [`--preserve ${preserve.join(",")}`],
    ...durable === undefined ? [] : ["--durable"],
    ...verify === undefined ? [] : ["--verify"],
    ...dereference === undefined ? [] : ["--dereference"],
    ...checksums?.output === undefined
      ? []
      : [`--checksums ${quoted(checksums.output)} --algo ${checksums.algorithm}`]
  ]
  return `${some(sources)} to ${quoted(to)}, with ${flags.join(" ")}${filtered}`
}

const ofDelete = ({ request: { oneFileSystem, paths, trash } }: Delete.Payload): string =>
  `${some(paths)}${trash ? ", to the trash" : oneFileSystem ? "" : ", with what is mounted there"}`

const howHashed = ({ algorithm, cache }: Hash.Payload): string =>
  algorithm === "sampled" ? "by samples" : `with ${algorithm}${cache === true ? " or from the cache" : ""}`

/** What a job is to do, behind the name of its field; of a job that this program does not know, the payload. */
export const field = (
  { name, payload }: Pick<JobRecord, "name" | "payload">
): readonly [name: string, value: string] => {
  const isCopy = name === Copy.job.name
  const copy = isCopy || name === Move.job.name ? decodeCopy(payload) : Option.none()
  if (Option.isSome(copy)) return [isCopy ? "copies" : "moves", ofCopy(copy.value)]
  const hash = name === Hash.job.name ? decodeHash(payload) : Option.none()
  if (Option.isSome(hash)) return ["hashes", `${some(hash.value.sources)}, ${howHashed(hash.value)}`]
  const check = name === HashCheck.job.name ? decodeCheck(payload) : Option.none()
  if (Option.isSome(check)) {
    return ["checks", `what ${quoted(check.value.file)} names, in ${quoted(check.value.folder)}`]
  }
  const media = name === Media.job.name ? decodeMedia(payload) : Option.none()
  if (Option.isSome(media)) {
    return ["reads", `metadata of ${some(media.value.sources)}${media.value.raw === true ? ", with all tags" : ""}`]
  }
  const verify = name === Verify.job.name ? decodeVerify(payload) : Option.none()
  if (Option.isSome(verify)) {
    const { a, b, ignore } = verify.value
    return [
      "compares",
      `${quoted(a)} (A) with ${quoted(b)} (B)${ignore.map((aspect) => ` --ignore ${aspect}`).join("")}`
    ]
  }
  const remove = name === Delete.job.name ? decodeDelete(payload) : Option.none()
  if (Option.isSome(remove)) return ["deletes", ofDelete(remove.value)]
  const thumbnail = name === Thumbnail.job.name ? decodeThumbnail(payload) : Option.none()
  if (Option.isSome(thumbnail)) {
    const { format, output, sources, variants } = thumbnail.value
    return ["pictures", `${some(sources)} in ${quoted(output)}, ${variants.join(", ")} as ${format}`]
  }
  return ["payload", format.printable(JSON.stringify(payload))]
}
