/**
 * Refuses what can't be done with objects, before anything is done.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Request } from "../../Copy.ts"
import * as FilePath from "../../FilePath.ts"
import { DestinationError, DestinationReason } from "../../FilesError.ts"
import { parseAddress } from "../../ObjectStore.ts"

/** Properties that no object has. */
const properties: ReadonlySet<string> = new Set(["owner", "links", "xattr"])

/** Why a copy to an object can't be done with the options of a request, if it can't. */
const optionIn = ({ preserve = [], sources, verify }: Request): string | undefined => {
  // What a store copies itself does not pass here.
  if (verify === true && sources.some(FilePath.isAddress)) {
    return `A copy between addresses can't be made with "verify": leave it out, and compare by fanout verify afterwards`
  }
  const what = preserve.find((property) => properties.has(property))
  return what === undefined ? undefined : `An object can't be copied to with "${what}": leave it out`
}

/** What is wrong with an address, if anything is. */
const problemOf = (path: FilePath.FilePath): string | undefined => {
  const address = parseAddress(path)
  if (Result.isFailure(address)) return address.failure.message.replace(/\.$/, "")
  const names = address.success.key.replace(/\/+$/, "").split("/")
  return names.some((name) => name === "." || name === ".." || (name === "" && names.length > 1))
    ? `"${FilePath.display(path)}" has a name that is empty, . or .., which no file has: name what is in there`
    : undefined
}

/** The first thing that is wrong with addresses among these paths. */
const problemIn = (paths: ReadonlyArray<FilePath.FilePath>): string | undefined =>
  paths.filter(FilePath.isAddress).map(problemOf).find((problem) => problem !== undefined)

/** Why a request is refused, if it is. */
const refusalOf = (request: Request): string | undefined => {
  const { destination, sources } = request
  const problem = problemIn([...sources, destination])
  if (problem !== undefined) return problem
  const isFrom = sources.filter(FilePath.isAddress).length
  if (isFrom > 0 && isFrom < sources.length) {
    return "Files and objects can't be copied by one job: copy them one after the other"
  }
  return FilePath.isAddress(destination) ? optionIn(request) : undefined
}

const failing = (why: string | undefined): Effect.Effect<void, DestinationError> =>
  why === undefined
    ? Effect.void
    : Effect.fail(new DestinationError({ reason: DestinationReason.cases.Address.make({ why }) }))

/** Fails where a request can't be done with objects. */
export const refuse = (request: Request): Effect.Effect<void, DestinationError> => failing(refusalOf(request))

/** Fails where one of two trees is an address and none that can be walked in. */
export const refuseTrees = (...trees: readonly [FilePath.FilePath, FilePath.FilePath]) => failing(problemIn(trees))

/** Fails where sources can't be read by one job. */
export const refuseSources = (sources: ReadonlyArray<FilePath.FilePath>): Effect.Effect<void, DestinationError> =>
  failing(
    problemIn(sources) ??
      (sources.every(FilePath.isAddress)
        ? undefined
        : "Files and objects can't be hashed by one job: hash them one after the other")
  )
