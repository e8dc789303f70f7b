/**
 * Refuses copies that can't be made with objects, before anything is done.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Request } from "../../Copy.ts"
import * as FilePath from "../../FilePath.ts"
import { DestinationError, DestinationReason } from "../../FilesError.ts"
import { parseAddress } from "../../ObjectStore.ts"

/** What of a request has no meaning where a copy is an object. */
const unsupported = ({ preserve = [], verify }: Request): ReadonlyArray<string> => [
  ...verify === true ? ["verify"] : [],
  ...preserve.filter((property) => property === "owner" || property === "links" || property === "xattr")
]

/** Why a request is refused, if it is. */
const refusalOf = (request: Request): string | undefined => {
  const { destination, sources } = request
  for (const path of [...sources, destination].filter(FilePath.isAddress)) {
    const address = parseAddress(path)
    if (Result.isFailure(address)) return address.failure.message.replace(/\.$/, "")
    const names = address.success.key.replace(/\/+$/, "").split("/")
    if (names.some((name) => name === "." || name === ".." || (name === "" && names.length > 1))) {
      return `"${FilePath.display(path)}" has a name that is empty, . or .., which no file has: name what is in there`
    }
  }
  const isFrom = sources.filter(FilePath.isAddress).length
  if (isFrom > 0 && isFrom < sources.length) {
    return "Files and objects can't be copied by one job: copy them one after the other"
  }
  const [what] = FilePath.isAddress(destination) ? unsupported(request) : []
  return what === undefined ? undefined : `An object can't be copied to with "${what}": leave it out`
}

/** Fails where a request can't be done with objects. */
export const refuse = (request: Request): Effect.Effect<void, DestinationError> => {
  const why = refusalOf(request)
  return why === undefined
    ? Effect.void
    : Effect.fail(new DestinationError({ reason: DestinationReason.cases.Address.make({ why }) }))
}
