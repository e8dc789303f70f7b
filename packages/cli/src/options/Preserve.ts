/**
 * Reads what a copy is to keep of its sources beside their content.
 */
import type { Request } from "@fanout/ops/Copy"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"

const all = CopyOptions.Property.literals

/** What of a request a list says: in one order, and nothing where that is the usual, so that it is the same request. */
const resolve = (
  list: string,
  usual: ReadonlyArray<CopyOptions.Property>
): Effect.Effect<Pick<Request, "preserve">, CliError.CliError> => {
  const names = list.split(",")
  const unknown = names.find((name) => name !== "all" && !all.some((known) => known === name))
  if (unknown !== undefined) {
    const message = `"${unknown}" is nothing to preserve. Give any of ${
      all.join(", ")
    }, with commas between them, or all.`
    return Effect.fail(new CliError.ValidationError({ message }))
  }
  const preserve = all.filter((name) => names.includes("all") || names.includes(name))
  return Effect.succeed(Equal.equals(preserve, usual) ? {} : { preserve })
}

/** `--preserve LIST` */
export const flag = (usual: ReadonlyArray<CopyOptions.Property>) =>
  Flag.String("preserve").pipe(
    Flag.withMetavar("LIST"),
    Flag.withDescription(
      "What to keep beside the content: mode, times, owner, links, xattr, sparse, with commas between them, or all " +
        `(default: ${usual === all ? "all" : usual.join()})`
    ),
    Flag.mapEffect((list) => resolve(list, usual)),
    Flag.withDefault({})
  )
