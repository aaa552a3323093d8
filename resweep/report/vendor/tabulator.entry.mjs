// The parts of Tabulator that the report's table needs: half of the whole.
import {
  EditModule, FilterModule, FormatModule, FrozenColumnsModule, InteractionModule, ResizeColumnsModule,
  ResizeTableModule, SortModule, Tabulator,
} from "tabulator-tables";

// the boxes of filters in the header are editors of Tabulator's
Tabulator.registerModule([
  EditModule, FilterModule, FormatModule, FrozenColumnsModule, InteractionModule, ResizeColumnsModule,
  ResizeTableModule, SortModule,
]);
export { Tabulator };
