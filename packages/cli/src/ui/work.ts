/**
 * Says what a job is to do. Pure: its payload goes in, a line comes out.
 */
import type { JobRecord } from "@fanout/core/JobStore"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as format from "./format.ts"

const decodeCopy = Schema.decodeUnknownOption(Copy.Payload)

/** How many sources are named. */
const namedSources = 3

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

const ofCopy = ({ request, transfers }: Copy.Payload): string => {
  const { conflict, destination, noTargetDirectory, sources } = request
  const more = sources.length - namedSources
  const from = sources.slice(0, namedSources).map(quoted).join(", ") +
    (more > 0 ? ` and ${format.count(more)} more` : "")
  // Of one source it is known what its copy is called; several go into the folder that was named.
  const to = transfers.length === 1 ? transfers[0].target : destination
  return `${from} to ${quoted(to)}, with --conflict ${conflict}${noTargetDirectory ? " -T" : ""}`
}

/** What a job is to do, behind the name of its field; of a job that this program does not know, the payload. */
export const field = (
  { name, payload }: Pick<JobRecord, "name" | "payload">
): readonly [name: string, value: string] =>
  Option.match(name === Copy.job.name ? decodeCopy(payload) : Option.none(), {
    onNone: () => ["payload", format.printable(JSON.stringify(payload))],
    onSome: (copy) => ["copies", ofCopy(copy)]
  })
