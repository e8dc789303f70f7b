/**
 * Makes rows of outcomes that are known to be whole.
 */
import { OutcomeRow } from "../../JobRecord.ts"

/** Makes a row of what is known to be one: to check all of it takes several times as long as all else. */
export const makeOutcomeRow = (fields: ConstructorParameters<typeof OutcomeRow>[0]): OutcomeRow => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the constructor does, once it has checked
  return Object.assign(Object.create(OutcomeRow.prototype) as OutcomeRow, fields)
}
